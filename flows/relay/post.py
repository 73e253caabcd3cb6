"""Delivers what was promised to people: a lane for each channel, and what is done for all of them.

Overdue tasks are found here too: the notices about them are promised in the transaction that marks them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import select

from case_store import find, notices, outbox
from case_store.actor import Actor
from case_store.models import OutboxEntry, Task
from case_store.outbox import Policy
from case_store.store import CaseStore
from case_store.tasks import recipients
from flows.clock import now
from flows.keep_going import Trouble, each, keep_going
from flows.prefect_client import Prefect
from flows.relay.channels import every_channel
from flows.relay.lane import Lane
from flows.relay.personal_links import personal_links
from flows.relay.writing import Writer
from flows.replies.set_up import answerable
from flows.resources import Resources
from notifiers.contract import Notifier

BY = Actor.system("relay")
_LOOK_EVERY = 1.0
_LONGEST: Final = 10.0
_UNSETTLED: Final = ("pending", "leased", "unknown")


async def deliver_post(own: Resources, ours: Mapping[str, Notifier], prefect: Prefect) -> None:
    """Mark what is overdue and send what is due, until cancelled.

    Args:
        own: The resources of this process.
        ours: The channels of the environment; their messages go out at once.
        prefect: Knows the other channels. Until it is there, no message is given up for having none.
    """
    every, late = dict(ours), Trouble("Overdue tasks")
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_keep(lambda: mark_overdue(own, late), "Overdue tasks"))
            group.create_task(_keep(lambda: look_after(own), "The outbox"))
            for lane in lanes(own, ours):
                group.create_task(_keep(lane.send_due, f"Messages by {lane.channel}"))
            every = await every_channel(ours, own.settings, await prefect.client())
            for lane in lanes(own, {name: one for name, one in every.items() if name not in ours}):
                group.create_task(_keep(lane.send_due, f"Messages by {lane.channel}"))
            group.create_task(_keep(lambda: give_up(own, every), "Messages by no channel"))
    finally:
        for notifier in every.values():
            await notifier.close()


async def _keep(step: Callable[[], Awaitable[int]], what: str) -> None:
    await keep_going(step, what, every=_LOOK_EVERY, longest=_LONGEST)


async def mark_overdue(own: Resources, trouble: Trouble | None = None) -> int:
    """Mark tasks that are past their due time and promise notices about them; return how many."""

    async def due(limit: int) -> list[Task]:
        async with own.store.reading() as tx:
            return await notices.overdue_due(tx, now(), limit)

    return (await each(due, lambda task: _mark_overdue(own, task), trouble or Trouble("Overdue tasks"))).number


async def _mark_overdue(own: Resources, task: Task) -> bool:
    async with own.store.transaction() as tx:
        row = await find.task(tx, task.id)
        if not await notices.mark_overdue(tx, row, by=BY, at=now()):
            return False
        await notices.overdue(tx, row, await recipients(tx, row), now())
        return True


async def send_due(own: Resources, channels: Mapping[str, Notifier]) -> int:
    """Send what is due by all channels, each message once; return how many there were."""
    await look_after(own)
    sent = await asyncio.gather(*(lane.send_due() for lane in lanes(own, channels)))
    return sum(sent) + await give_up(own, channels)


async def look_after(own: Resources) -> int:
    """End messages that nobody would end otherwise; return how many."""
    async with own.store.reading() as tx:
        if not await outbox.anything_to_end(tx, now()):
            return 0
    async with own.store.transaction() as tx:
        return await outbox.expire(tx, by=BY, at=now(), policy=Policy.of(own.settings))


async def give_up(own: Resources, channels: Mapping[str, Notifier]) -> int:
    """Give up messages by channels that are not set up (any more); return how many."""
    without = await _without(own.store, channels)
    return sum([await lane_of(own, channel, None, channels).send_due() for channel in without])


async def _without(store: CaseStore, channels: Mapping[str, Notifier]) -> Sequence[str]:
    """Return the channels by which messages were promised and that are not set up (any more)."""
    wanted = select(OutboxEntry.channel).where(OutboxEntry.state.in_(_UNSETTLED)).distinct()
    async with store.reading() as tx:
        return [one for one in await tx.session.scalars(wanted) if one not in channels]


def lanes(own: Resources, channels: Mapping[str, Notifier]) -> list[Lane]:
    """Return a lane for each channel."""
    return [lane_of(own, channel, notifier, channels) for channel, notifier in channels.items()]


def lane_of(own: Resources, channel: str, notifier: Notifier | None, channels: Iterable[str] = ()) -> Lane:
    """Return the lane of a channel; without a notifier it gives its messages up. `channels` are all that are set up."""
    settings = own.settings
    writer = Writer(settings.prefect_ui_url, settings.templates, personal_links(own, BY), lambda: answerable(settings))
    return Lane(own.store, channel, notifier, writer, Policy.of(settings, channels), BY, now)
