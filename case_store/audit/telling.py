"""Which rows need an event though they are not audited: those of which a fact of some event tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import inspect

from case_store.models import (
    Audited,
    AuditKey,
    AuditSink,
    Breaker,
    OutboxEntry,
    Reply,
    ReplyMailbox,
    SignOffCode,
    SopDocument,
)
from case_store.models.answers import MAILBOX_FAILURES

TELLING: Final = frozenset({"outbox_id", "sink", "new", "breaker", "code_id", "sha256", "reply", "mailbox"})
"""The facts that tell of such rows."""


def needs_telling(row: object, facts: Sequence[tuple[str, object]]) -> bool:
    """Tell whether an event must tell of a row that changes; `facts` are those by which events tell of rows."""
    return isinstance(row, Audited) or ((fact := _telling(row)) is not None and fact not in facts)


def _telling(row: object) -> tuple[str, object] | None:  # noqa: PLR0911 - a table of kinds of rows
    """Return the fact by which an event tells of this change; None for rows, and changes, that are bookkeeping."""
    match row:
        case OutboxEntry() if _decided(row):
            return "outbox_id", row.id
        case AuditSink() if _set_up(row):
            return "sink", row.name
        case Breaker() if _opened_or_closed(row):
            return "breaker", row.channel
        case SignOffCode() if _signs(row):
            return "code_id", row.id
        case AuditKey() if row.number > 1:  # the first is that of the first relay; nobody decides on it
            return "new", row.vkey
        case Reply():
            return "reply", row.key
        case ReplyMailbox() if _left_alone_or_back(row):
            return "mailbox", row.name
        case SopDocument():
            return "sha256", row.digest
        case _:
            return None


def _opened_or_closed(breaker: Breaker) -> bool:
    """Tell whether a channel is left alone or works again; counting, and who tries it next, is bookkeeping."""
    state = inspect(breaker)
    before = next(iter(state.attrs.open_until.history.deleted or ()), None)
    return before != breaker.open_until and state.attrs.times_open.history.has_changes()


def _left_alone_or_back(mailbox: ReplyMailbox) -> bool:
    """Tell whether a mailbox comes to fail too often, or works after that; counting is bookkeeping."""
    history = inspect(mailbox).attrs.failures.history
    before = next(iter(history.deleted or ()), mailbox.failures)
    return (before >= MAILBOX_FAILURES) != (mailbox.failures >= MAILBOX_FAILURES)


def _signs(code: SignOffCode) -> bool:
    """Tell whether a code was sent, tried or used; that a newer one took its place is told with that one."""
    state = inspect(code)
    told = ("wrong", "verified_at", "used_at")
    return state.key is None or any(state.attrs[name].history.has_changes() for name in told)


def _decided(message: OutboxEntry) -> bool:
    """Tell whether something became of a message; that somebody takes it for sending is bookkeeping."""
    state = inspect(message)
    if state.key is None:
        return message.instead_of is not None
    return state.attrs.state.history.has_changes() and message.state != "leased"


def _set_up(sink: AuditSink) -> bool:
    """Tell whether somebody changed what a sink gets; that it gets it, and how far it is, is bookkeeping."""
    state = inspect(sink)
    if state.key is None or any(state.attrs[name].history.has_changes() for name in ("fingerprint", "removed_at")):
        return True
    before: int | None = next(iter(state.attrs.cursor.history.deleted), None)
    return before is not None and sink.cursor < before
