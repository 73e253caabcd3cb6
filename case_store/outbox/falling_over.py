"""Whoever is not reached one way is tried another way; then somebody else is told; and those in charge hear of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from sqlalchemy import select

from case_store import contacts
from case_store.actor import Actor
from case_store.holds import hold
from case_store.models import JsonMap, OutboxEntry, Person
from case_store.outbox.alarms import alarm
from case_store.outbox.needless import is_needless
from case_store.outbox.policy import ALARM, DIGEST, LONG, REPLY, USEFUL_FOR, Policy
from case_store.outbox.telling import record
from case_store.store import Tx

_LEFT: Final = ("dead", "cancelled")
_TO_NOBODY_ELSE: Final = frozenset({ALARM, DIGEST, REPLY, "checkpoint", "code", "test"})
"""What says nothing to anybody but its recipient."""


async def after_death(tx: Tx, entry: OutboxEntry, policy: Policy, *, by: Actor, at: datetime) -> None:
    """Promise what follows when a message reaches nobody. An alarm is followed by nothing.

    The person is tried by their next channel, unless another message for the same reason is under way or arrived; then
    their deputy, their manager, and the manager's manager. Whoever has the role for alarms hears of it, once an hour
    and channel.
    """
    if entry.template == ALARM:
        return
    await tx.flush()
    await hold(tx, f"messages about {_reason(entry)}")
    following = None
    if _says_whom(entry) and not await is_needless(tx, entry):
        following = await _next_channel(tx, entry, at) or await _next_person(tx, entry, at)
    if following is not None:
        tx.session.add(following)
        record(tx, following, by=by, at=at, event="notification.fell_over", instead_of=entry.id)
    await alarm(tx, entry, "message", policy, at=at)


async def _next_channel(tx: Tx, entry: OutboxEntry, at: datetime) -> OutboxEntry | None:
    person = await tx.session.get_one(Person, entry.recipient_id)
    tried = await _tried(tx, entry, person)
    if any(tried.values()):
        return None
    for channel in contacts.channels_of(person):
        if channel not in tried:
            return _instead(entry, person, channel, entry.context, at)
    return None


async def _next_person(tx: Tx, entry: OutboxEntry, at: datetime) -> OutboxEntry | None:
    if entry.template in _TO_NOBODY_ELSE:
        return None
    person = await tx.session.get_one(Person, entry.recipient_id)
    if any((await _tried(tx, entry, person)).values()):
        return None  # they are reached another way
    async for above in others_for(tx, person):
        tried = await _tried(tx, entry, above)
        if any(tried.values()):
            return None  # they hear of it already
        for channel in contacts.channels_of(above):
            if channel not in tried:
                return _instead(entry, above, channel, {**entry.context, "for_another": True}, at)
    return None


async def others_for(tx: Tx, person: Person) -> AsyncIterator[Person]:
    """Yield the active people to tell instead of a person: the deputy, then the managers above, the nearest first."""
    seen = {person.id}
    if person.deputy_id is not None and (deputy := await tx.session.get_one(Person, person.deputy_id)).active:
        seen.add(deputy.id)
        yield deputy
    above = person.manager_id
    while above is not None and above not in seen:
        seen.add(above)
        manager = await tx.session.get_one(Person, above)
        if manager.active:
            yield manager
        above = manager.manager_id


async def _tried(tx: Tx, entry: OutboxEntry, person: Person) -> dict[str, bool]:
    """Return by which channels a person was tried for the reason of this message, and which of these may reach them."""
    base = f"{_reason(entry)}:{person.id}:"
    wanted = select(OutboxEntry.channel, OutboxEntry.state.not_in(_LEFT) | OutboxEntry.told_in.is_not(None)).where(
        OutboxEntry.dedup_key.in_([f"{base}{channel}" for channel in contacts.ADDRESSES])
    )
    return dict((await tx.session.execute(wanted)).all())


def _says_whom(entry: OutboxEntry) -> bool:
    return entry.dedup_key.endswith(f":{entry.recipient_id}:{entry.channel}")


def _reason(entry: OutboxEntry) -> str:
    """Return what a message is about, without whom and how: keys end with recipient and channel."""
    return entry.dedup_key.rsplit(":", 2)[0]


def _instead(entry: OutboxEntry, person: Person, channel: str, context: JsonMap, at: datetime) -> OutboxEntry:
    return OutboxEntry(
        case_id=entry.case_id,
        task_id=entry.task_id,
        template=entry.template,
        channel=channel,
        recipient_id=person.id,
        context={**context, "recipient": contacts.recipient_of(person)},
        next_at=at,
        not_after=at + USEFUL_FOR.get(channel, LONG),
        dedup_key=f"{_reason(entry)}:{person.id}:{channel}",
        instead_of=entry.id,
    )
