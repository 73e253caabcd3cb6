"""How every sink is: what it got, what waits, what went wrong and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from case_store.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditSink, AuditTree
from case_store.sinks import mail
from case_store.sinks.address import Address, What
from case_store.store import Tx

_PATIENCE: Final = timedelta(minutes=2)
_RELAY: Final = "see that a relay runs (casewright up, or casewright relay)"
_MAIL_STATES: Final = {
    "dead": "see what the mail server says, and CASEWRIGHT_SMTP_...; the next day's checkpoint is tried anew",
    "unknown": "ask the auditor whether it came",
}


@dataclass(frozen=True, slots=True)
class SinkRow:
    """A sink in a listing.

    Attributes:
        name: Its name, as `test` and `rewind` take it.
        gets: `events` or `checkpoints`.
        url: Where it is; empty when it is in the settings no more.
        format: The format of its events; None for checkpoints.
        cursor: The place in the tree of the next event it gets; None for checkpoints, and before a relay saw it.
        size: How many events the last checkpoint held that it got.
        behind: Events it has not got, or that its last checkpoint does not cover.
        waiting: How long the oldest of them has been waiting; None when none is.
        last_ok_at: When it took something last; for mail, when the last letter was promised.
        error: What went wrong last; None since it went well.
        failing_since: When that began.
        next_step: What to do; empty when nothing.
    """

    name: str
    gets: What
    url: str
    format: str | None
    cursor: int | None
    size: int | None
    behind: int
    waiting: timedelta | None
    last_ok_at: datetime | None
    error: str | None
    failing_since: datetime | None
    next_step: str


async def listing(tx: Tx, addresses: Sequence[Address], at: datetime) -> list[SinkRow]:
    """Return the sinks of the settings, then those that left them."""
    rows = {row.name: row for row in await tx.session.scalars(select(AuditSink).order_by(AuditSink.name))}
    grown = await tx.session.scalar(select(AuditTree.size)) or 0
    found = [await _row(tx, address, rows.pop(address.name, None), grown, at) for address in addresses]
    return found + [_gone(row) for row in rows.values()]


async def _row(tx: Tx, address: Address, row: AuditSink | None, grown: int, at: datetime) -> SinkRow:
    events = address.what == "events"
    reached = 0 if row is None else (row.cursor if events else row.size or 0)
    waiting = await _waiting(tx, row, reached, at, events=events) if reached < grown else None
    error, step = (row.last_error, "") if row else (None, "")
    if address.kind == "mailto":
        waiting, mailed = None, await mail.last(tx, address)
        if mailed is not None and mailed.state != "sent":
            error = error or mailed.last_error
            step = _MAIL_STATES.get(mailed.state, "")
    return SinkRow(
        name=address.name,
        gets=address.what,
        url=address.url,
        format=address.format if events else None,
        cursor=row.cursor if row and events else None,
        size=row.size if row else None,
        behind=max(grown - reached, 0),
        waiting=waiting,
        last_ok_at=row.last_ok_at if row else None,
        error=error,
        failing_since=row.failed_at if row else None,
        next_step=step or _next_step(address, row, error, waiting),
    )


def _next_step(address: Address, row: AuditSink | None, error: str | None, waiting: timedelta | None) -> str:
    if row is None or row.removed_at is not None:
        return f"{_RELAY}: none has seen this sink yet"
    if row.fingerprint != address.fingerprint:
        return "restart the relay: it has other settings than this command"
    if error:
        return f"mend it, then try: casewright audit sinks test {address.name}; nothing is lost"
    return _RELAY if waiting is not None and waiting > _PATIENCE else ""


async def _waiting(tx: Tx, row: AuditSink | None, reached: int, at: datetime, *, events: bool) -> timedelta | None:
    """Return for how long the oldest event, or the oldest checkpoint, waits that the sink has not got."""
    if events or row is None:
        oldest = select(AuditEvent.ts).join(AuditLeaf, AuditLeaf.event_id == AuditEvent.event_id)
        since = await tx.session.scalar(oldest.where(AuditLeaf.idx == reached))
    else:
        later = select(AuditCheckpoint.at).where(AuditCheckpoint.id > row.cursor)
        since = await tx.session.scalar(later.order_by(AuditCheckpoint.id).limit(1))
    return None if since is None else max(at - since, timedelta())


def _gone(row: AuditSink) -> SinkRow:
    events = row.name.startswith("events/")
    setting = "CASEWRIGHT_FORWARD_TO" if events else "CASEWRIGHT_CHECKPOINT_TO"
    return SinkRow(
        name=row.name,
        gets="events" if events else "checkpoints",
        url="",
        format=None,
        cursor=row.cursor if events else None,
        size=row.size,
        behind=0,
        waiting=None,
        last_ok_at=row.last_ok_at,
        error=row.last_error,
        failing_since=row.failed_at,
        next_step=f"it gets nothing; back in {setting}, it goes on where it stopped",
    )
