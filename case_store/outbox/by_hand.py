"""A person sends a message again, or takes it back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from case_store import texts
from case_store.actor import Actor
from case_store.audit.commitments import Personal
from case_store.models import OutboxEntry, Person
from case_store.outbox.policy import CODE, USEFUL_FOR
from case_store.outbox.telling import let_go, record
from case_store.refusals import MessageRefused, NotFound
from case_store.store import Tx

_AGAIN: Final = frozenset({"dead", "unknown", "cancelled"})
_BACK: Final = frozenset({"pending", "dead", "unknown"})
_LONG: Final = timedelta(days=1)
_SHORTEST_NAME: Final = 6


async def find_message(tx: Tx, ref: str, *, lock: bool = False) -> OutboxEntry:
    """Find a message by its id, or by the beginning of it.

    Raises:
        NotFound: There is none, or several begin like that.
    """
    wanted = select(OutboxEntry).where(OutboxEntry.id.startswith(ref, autoescape=True)).limit(2)
    if lock:
        wanted = wanted.with_for_update().execution_options(populate_existing=True)
    found = (await tx.session.scalars(wanted)).all() if len(ref) >= _SHORTEST_NAME else []
    if len(found) != 1:
        many = "several messages begin" if found else "no message begins"
        step = f"give more of the id, {_SHORTEST_NAME} characters at least; see: casewright outbox list"
        raise NotFound(f"{many} with {ref!r}", next_step=step)
    return found[0]


async def retry(tx: Tx, ref: str, *, by: Actor, at: datetime) -> OutboxEntry:
    """Send a message again that is dead, cancelled or unknown. One that is unknown may then arrive twice.

    Raises:
        NotFound: There is no such message.
        MessageRefused: It is under way or has arrived, or is a code.
    """
    entry = await find_message(tx, ref, lock=True)
    if entry.state not in _AGAIN:
        raise MessageRefused(
            f"message {entry.id} is {entry.state}", next_step="only one that was given up is sent again"
        )
    if entry.template == CODE:
        step = "ask for another one: casewright task code CASE/KEY"
        raise MessageRefused(f"message {entry.id} is a code, which is good for minutes", next_step=step)
    was = entry.state
    let_go(entry, "pending", None)
    entry.attempts, entry.next_at, entry.not_after = 0, at, at + USEFUL_FOR.get(entry.channel, _LONG)
    entry.in_doubt, entry.polls, entry.resent, entry.receipt, entry.told_in = False, 0, False, None, None
    entry.provider_ref = None
    record(tx, entry, by=by, at=at, event="notification.retried", was=was)
    await tx.flush()
    return entry


async def cancel(tx: Tx, ref: str, reason: str, *, by: Actor, at: datetime) -> OutboxEntry:
    """Take back a message that waits, or settle what is to become of one that is dead or unknown.

    Raises:
        NotFound: There is no such message.
        MessageRefused: It is being sent, or has gone.
        TextRequired: There is no reason.
    """
    why = texts.words(reason, "the reason")
    entry = await find_message(tx, ref, lock=True)
    if entry.state not in _BACK:
        step = "wait until its try has ended" if entry.state == "leased" else "nothing is left to take back"
        raise MessageRefused(f"message {entry.id} is {entry.state}", next_step=step)
    was = entry.state
    let_go(entry, "cancelled", why)
    entry.in_doubt = False
    about = (Person.entity_type, entry.recipient_id)
    record(tx, entry, by=by, at=at, was=was, reason=Personal(why, about))
    await tx.flush()
    return entry
