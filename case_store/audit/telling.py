"""Which rows change only together with an event that tells of them, though they have none of their own."""

from __future__ import annotations

from typing import Final

from sqlalchemy import inspect
from sqlalchemy.orm.attributes import History, get_history
from sqlalchemy.orm.base import PASSIVE_NO_INITIALIZE

from case_store.models import AuditKey, AuditSink, Breaker, OutboxEntry, Reply, ReplyMailbox, SignOffCode, SopDocument
from case_store.models.answers import MAILBOX_FAILURES

FACTS: Final = frozenset({"outbox_id", "sink", "new", "breaker", "code_id", "sha256", "reply", "mailbox"})
"""Facts by which events tell of rows that have none of their own."""


def fact_of(row: object) -> tuple[str, object] | None:  # noqa: PLR0911 - a table of kinds of rows
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
    before = next(iter(history(breaker, "open_until").deleted or ()), None)
    return before != breaker.open_until and history(breaker, "times_open").has_changes()


def _left_alone_or_back(mailbox: ReplyMailbox) -> bool:
    """Tell whether a mailbox comes to fail too often, or works after that; counting is bookkeeping."""
    before = next(iter(history(mailbox, "failures").deleted or ()), mailbox.failures)
    return (before >= MAILBOX_FAILURES) != (mailbox.failures >= MAILBOX_FAILURES)


def _signs(code: SignOffCode) -> bool:
    """Tell whether a code was sent, tried or used; that a newer one took its place is told with that one."""
    told = ("wrong", "verified_at", "used_at")
    return inspect(code).key is None or any(history(code, name).has_changes() for name in told)


def _decided(message: OutboxEntry) -> bool:
    """Tell whether something became of a message; that somebody takes it for sending is bookkeeping."""
    if inspect(message).key is None:
        return message.instead_of is not None
    return history(message, "state").has_changes() and message.state != "leased"


def _set_up(sink: AuditSink) -> bool:
    """Tell whether somebody changed what a sink gets; that it gets it, and how far it is, is bookkeeping."""
    decided = ("fingerprint", "removed_at")
    if inspect(sink).key is None or any(history(sink, name).has_changes() for name in decided):
        return True
    before: int | None = next(iter(history(sink, "cursor").deleted), None)
    return before is not None and sink.cursor < before


def is_modified(row: object) -> bool:
    """Tell whether any attribute of a row has another value than before."""
    return any(history(row, name).has_changes() for name in inspect(row).committed_state)


def history(row: object, name: str) -> History:
    """Return before and after of one attribute."""
    # Of the one attribute: `inspect(row).attrs` makes an object for each that the row has.
    return get_history(row, name, PASSIVE_NO_INITIALIZE)
