"""Messages that were promised: taken for sending, and settled with what the channel answered.

Sending happens between two transactions: `claim` leases a message under a token, `settle` counts only while that token
still holds it. A sender that sleeps past its lease therefore cannot overwrite what a later one learned.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import and_, or_, select

from case_store.actor import Actor
from case_store.audit.commitments import Personal
from case_store.models import OutboxEntry, OutboxState, Person
from case_store.store import Tx

Outcome = Literal["ok", "permanent", "temporary", "unknown"]

MAX_ATTEMPTS: Final = 8
_FIRST_DELAY: Final = timedelta(seconds=5)
_LONGEST_DELAY: Final = timedelta(hours=1)


async def claim(tx: Tx, at: datetime, lease: timedelta, limit: int, token: str) -> list[OutboxEntry]:
    """Take due messages for sending, the longest waiting first; they are ours until the lease ends.

    Args:
        tx: The transaction.
        at: Now.
        lease: How long nobody else sends them; several times as long as a channel may take to answer.
        limit: How many at most.
        token: Names this claim; never used twice.
    """
    waiting = and_(OutboxEntry.state == "pending", OutboxEntry.next_at <= at)
    given_up = and_(OutboxEntry.state == "leased", OutboxEntry.lease_until <= at)
    still_useful = or_(OutboxEntry.not_after.is_(None), OutboxEntry.not_after > at)
    wanted = (
        select(OutboxEntry)
        .where(or_(waiting, given_up), still_useful)
        .order_by(OutboxEntry.next_at, OutboxEntry.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    entries = list(await tx.session.scalars(wanted))
    for entry in entries:
        entry.state, entry.token, entry.lease_until = "leased", token, at + lease
        entry.attempts += 1
    await tx.flush()
    return entries


async def settle(
    tx: Tx,
    entry: OutboxEntry,
    outcome: Outcome,
    *,
    provider_ref: str | None = None,
    error: str | None = None,
    retry_after: timedelta | None = None,
    by: Actor,
    at: datetime,
) -> bool:
    """Record what became of a message.

    Args:
        tx: The transaction.
        entry: The message as it was claimed.
        outcome: "temporary" is tried again later, eight times at most; "unknown" may have arrived, and is not repeated.
        provider_ref: What the channel calls the message.
        error: What the channel said went wrong; None when it took the message.
        retry_after: How long the channel asked to wait.
        by: Who sent it.
        at: Now.

    Returns:
        False when the lease had ended and somebody else took the message: then nothing is recorded.
    """
    wanted = select(OutboxEntry).where(OutboxEntry.id == entry.id).with_for_update()
    held = (await tx.session.scalars(wanted.execution_options(populate_existing=True))).one()
    if held.state != "leased" or held.token != entry.token:
        return False
    delay = max(_delay(held), retry_after or timedelta())
    held.state = _state_after(held, outcome, at + delay)
    held.token, held.lease_until, held.last_error = None, None, error
    held.provider_ref = provider_ref or held.provider_ref
    if held.state == "pending":
        held.next_at = at + delay
    _record(tx, held, by=by, at=at)
    await tx.flush()
    return True


async def expire(tx: Tx, *, by: Actor, at: datetime, limit: int = 100) -> int:
    """Give up messages that nobody is sending and that came too late to be useful; returns how many."""
    unsent = or_(OutboxEntry.state == "pending", and_(OutboxEntry.state == "leased", OutboxEntry.lease_until <= at))
    wanted = (
        select(OutboxEntry)
        .where(unsent, OutboxEntry.not_after <= at)
        .order_by(OutboxEntry.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    entries = list(await tx.session.scalars(wanted.execution_options(populate_existing=True)))
    for entry in entries:
        entry.last_error = "not sent in time" + (f"; last: {entry.last_error}" if entry.last_error else "")
        entry.state, entry.token, entry.lease_until = "dead", None, None
        _record(tx, entry, by=by, at=at)
    await tx.flush()
    return len(entries)


_FINAL: Final[dict[Outcome, OutboxState]] = {"ok": "sent", "permanent": "dead", "unknown": "unknown"}


def _state_after(entry: OutboxEntry, outcome: Outcome, next_at: datetime) -> OutboxState:
    if outcome == "temporary":
        too_late = entry.not_after is not None and next_at >= entry.not_after
        return "dead" if entry.attempts >= MAX_ATTEMPTS or too_late else "pending"
    return _FINAL[outcome]


def _delay(entry: OutboxEntry) -> timedelta:
    """Return a back-off that doubles and is spread by up to a half, so that many failures do not come back at once."""
    longest = min(_LONGEST_DELAY, _FIRST_DELAY * (1 << entry.attempts))
    spread = hashlib.sha256(f"{entry.id}:{entry.attempts}".encode()).digest()[0] / 255
    return longest - longest * spread / 2


_EVENTS: Final[dict[OutboxState, str]] = {
    "sent": "notification.sent",
    "pending": "notification.postponed",
    "dead": "notification.failed",
    "unknown": "notification.unknown",
}


def _record(tx: Tx, entry: OutboxEntry, *, by: Actor, at: datetime) -> None:
    facts = {
        "outbox_id": entry.id,
        "task_id": entry.task_id,
        "channel": entry.channel,
        "recipient_id": entry.recipient_id,
        "template": entry.template,
        "attempts": entry.attempts,
        "provider_ref": entry.provider_ref,
        "error": Personal(entry.last_error, (Person.entity_type, entry.recipient_id)),
    }
    tx.record(_EVENTS[entry.state], None, by=by, at=at, case=entry.case_id, facts=facts)


def anonymise(tx: Tx, entry: OutboxEntry, *, by: Actor, at: datetime) -> None:
    """Take away what a message says about its recipient; one that is not sent yet is given up."""
    if entry.state in {"pending", "leased"}:
        entry.state, entry.token, entry.lease_until = "dead", None, None
        entry.last_error = "the recipient was erased"
        _record(tx, entry, by=by, at=at)
    entry.context = {**entry.context, "recipient": {}}
    entry.last_error = entry.provider_ref = None


def is_anonymous(entry: OutboxEntry) -> bool:
    """Tell whether a message says nothing about its recipient."""
    named = entry.context.get("recipient") or entry.last_error or entry.provider_ref
    return not named and entry.state not in {"pending", "leased"}
