"""The messages of the outbox, as a listing shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import case as one_of
from sqlalchemy import select

from case_store.models import Case, OutboxEntry, Person
from case_store.models.bookkeeping import OUTBOX_STATES
from case_store.refusals import MessageRefused
from case_store.store import Tx

LIMIT: Final = 500
_FIRST: Final = {"dead": 0, "unknown": 1, "leased": 2, "pending": 3}


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message in a listing; `recipient` is a handle, `next_at` the next try of one that waits."""

    id: str
    case_number: int | None
    template: str
    channel: str
    recipient: str
    state: str
    attempts: int
    next_at: datetime | None
    tried_at: datetime | None
    error: str | None
    provider_ref: str | None


async def messages(
    tx: Tx, *, state: str | None = None, case: Case | None = None, limit: int = LIMIT
) -> list[MessageRow]:
    """Return messages, those that need somebody first, then the newest.

    Args:
        tx: The transaction.
        state: Only those in this state; None for all.
        case: Only those about this case.
        limit: How many at most.

    Raises:
        MessageRefused: There is no such state.
    """
    if state is not None and state not in OUTBOX_STATES:
        raise MessageRefused(f"there is no state {state!r}", next_step=f"use one of: {', '.join(OUTBOX_STATES)}")
    urgency = one_of(_FIRST, value=OutboxEntry.state, else_=len(_FIRST))
    wanted = (
        select(OutboxEntry, Person.handle, Case.number)
        .join(Person, Person.id == OutboxEntry.recipient_id)
        .outerjoin(Case, Case.id == OutboxEntry.case_id)
        .order_by(urgency, OutboxEntry.id.desc())
        .limit(limit)
    )
    if state is not None:
        wanted = wanted.where(OutboxEntry.state == state)
    if case is not None:
        wanted = wanted.where(OutboxEntry.case_id == case.id)
    return [_row(entry, handle, number) for entry, handle, number in await tx.session.execute(wanted)]


def _row(entry: OutboxEntry, handle: str, number: int | None) -> MessageRow:
    return MessageRow(
        id=entry.id,
        case_number=number,
        template=entry.template,
        channel=entry.channel,
        recipient=handle,
        state=entry.state,
        attempts=entry.attempts,
        next_at=entry.next_at if entry.state == "pending" else None,
        tried_at=entry.tried_at,
        error=entry.last_error,
        provider_ref=entry.provider_ref,
    )
