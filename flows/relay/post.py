"""Delivers what was promised to people: takes messages from the outbox, tries each once, notes what became of it.

Overdue tasks are found here too: the notices about them are promised in the transaction that marks them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

from case_store import find, notices, outbox
from case_store.actor import Actor
from case_store.errors import StoreError
from case_store.models import JsonMap, OutboxEntry, Person
from case_store.tasks import recipients
from flows.clock import now
from flows.resources import Resources
from notifiers.contract import Attachment, Message, Notifier, Outcome, Recipient
from notifiers.errors import NotifierError
from notifiers.render import render

log = logging.getLogger(__name__)

BY = Actor.system("relay")
_LOOK_EVERY = 1.0
_AT_ONCE = 20
# A lease outlasts the slowest channel several times, so that nobody else sends what is just being sent.
_LEASE_FACTOR = 4
_MENDING = timedelta(minutes=5)


async def deliver_post(own: Resources, channels: Mapping[str, Notifier]) -> None:
    """Mark what is overdue and send what is due, until cancelled."""
    try:
        while True:
            try:
                await mark_overdue(own)
                sent = await send_due(own, channels)
            except StoreError as error:
                log.warning("Messages wait: %s", error)
                sent = 0
            if sent < _AT_ONCE:
                await asyncio.sleep(_LOOK_EVERY)
    finally:
        for notifier in channels.values():
            await notifier.close()


async def mark_overdue(own: Resources) -> int:
    """Mark tasks that are past their due time and promise notices about them; return how many."""
    async with own.store.reading() as tx:
        late = await notices.overdue_due(tx, now())
    for task in late:
        async with own.store.transaction() as tx:
            row = await find.task(tx, task.id)
            if await notices.mark_overdue(tx, row, by=BY, at=now()):
                await notices.overdue(tx, row, await recipients(tx, row), now())
    return len(late)


async def send_due(own: Resources, channels: Mapping[str, Notifier]) -> int:
    """Send what is due, each message once; return how many there were."""
    slowest = max((one.deadline for one in channels.values()), default=timedelta(seconds=30))
    async with own.store.transaction() as tx:
        await outbox.expire(tx, by=BY, at=now())
        claimed = await outbox.claim(tx, now(), slowest * _LEASE_FACTOR, _AT_ONCE, uuid4().hex)
        people = {entry.id: await tx.session.get_one(Person, entry.recipient_id) for entry in claimed}
    await asyncio.gather(*(_send(own, channels, entry, people[entry.id]) for entry in claimed))
    return len(claimed)


async def _send(own: Resources, channels: Mapping[str, Notifier], entry: OutboxEntry, person: Person) -> None:
    outcome = _worth_waiting(await _try(own, channels.get(entry.channel), entry, person))
    async with own.store.transaction() as tx:
        await outbox.settle(
            tx,
            entry,
            outcome.kind,
            provider_ref=outcome.provider_ref,
            error=None if outcome.kind == "ok" else outcome.reason,
            retry_after=outcome.retry_after,
            by=BY,
            at=now(),
        )


def _worth_waiting(outcome: Outcome) -> Outcome:
    """Keep a message whose channel is at fault (wrong password, strange certificate) until somebody mends it."""
    return Outcome.temporary(outcome.reason, _MENDING) if outcome.channel_fault else outcome


async def _try(own: Resources, notifier: Notifier | None, entry: OutboxEntry, person: Person) -> Outcome:
    if notifier is None:
        return Outcome.permanent(f"the channel {entry.channel} is not set up")
    link = own.settings.prefect_ui_url
    try:
        rendered = render(entry.template, {**_facts(entry), "link": link})
    except NotifierError as error:
        return Outcome.permanent(str(error))
    return await notifier.send(
        Message(
            to=Recipient(person.name, person.email, person.phone),
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            sms_text=rendered.sms,
            case_number=entry.context["case"]["number"] if "case" in entry.context else None,
            dedup_key=entry.dedup_key,
            attachments=_attachments(entry),
            useful_for=None if entry.not_after is None else entry.not_after - now(),
            link=link,
        )
    )


def _facts(entry: OutboxEntry) -> JsonMap:
    """Return the facts for the template; a signed note goes line by line, as templates know no line breaks."""
    if "checkpoint" not in entry.context:
        return entry.context
    told = entry.context["checkpoint"]
    return {**entry.context, "checkpoint": {**told, "lines": told["note"].splitlines()}}


def _attachments(entry: OutboxEntry) -> tuple[Attachment, ...]:
    """Return the signed note as a file, to be kept byte for byte."""
    told = entry.context.get("checkpoint")
    return (Attachment(f"checkpoint-{told['size']}.txt", told["note"]),) if told else ()
