"""How the record tells what became of a message, and how a message forgets its recipient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from case_store.audit.commitments import Personal
from case_store.models import OutboxEntry, OutboxState, Person
from case_store.outbox.policy import CODE

if TYPE_CHECKING:
    from datetime import datetime

    from case_store.actor import Actor
    from case_store.store import Tx

EVENTS: Final[dict[OutboxState, str]] = {
    "sent": "notification.sent",
    "pending": "notification.postponed",
    "dead": "notification.failed",
    "unknown": "notification.unknown",
    "delivered": "notification.delivered",
    "cancelled": "notification.cancelled",
}
_GONE: Final = frozenset({"sent", "delivered", "dead", "cancelled"})
UNSENT: Final = frozenset({"pending", "leased"})


def record(tx: Tx, entry: OutboxEntry, *, by: Actor, at: datetime, event: str | None = None, **more: object) -> None:
    """Declare the event about a message: that of its state, or the one given; `more` are further facts."""
    facts = {
        "outbox_id": entry.id,
        "task_id": entry.task_id,
        "channel": entry.channel,
        "recipient_id": entry.recipient_id,
        "template": entry.template,
        "attempts": entry.attempts,
        "provider_ref": entry.provider_ref,
        "error": Personal(entry.last_error, (Person.entity_type, entry.recipient_id)),
        **more,
    }
    tx.record(event or EVENTS[entry.state], None, by=by, at=at, case=entry.case_id, facts=facts)


def let_go(entry: OutboxEntry, state: OutboxState, error: str | None) -> None:
    """Give a message its next state; nobody holds it any more."""
    entry.state, entry.token, entry.lease_until, entry.last_error = state, None, None, error
    if entry.template == CODE and state in _GONE:
        entry.context = {**entry.context, "code": {}}  # the digits are nobody's but the recipient's


def anonymise(tx: Tx, entry: OutboxEntry, *, by: Actor, at: datetime) -> None:
    """Take away what a message says about its recipient; one that is not sent yet is given up."""
    if entry.state in UNSENT:
        let_go(entry, "dead", "the recipient was erased")
        record(tx, entry, by=by, at=at)
    entry.context = {**entry.context, "recipient": {}}
    entry.last_error = entry.provider_ref = None


def is_anonymous(entry: OutboxEntry) -> bool:
    """Tell whether a message says nothing about its recipient."""
    named = entry.context.get("recipient") or entry.last_error or entry.provider_ref
    return not named and entry.state not in UNSENT
