"""What the provider says later about a message that it took: receipts come late, twice, and in any order."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import select

from case_store import contacts
from case_store.actor import Actor
from case_store.models import OutboxEntry, Person
from case_store.outbox import breaker
from case_store.outbox.falling_over import after_death
from case_store.outbox.policy import DEFAULT, Policy
from case_store.outbox.telling import let_go, record
from case_store.store import Tx

RANKS: Final = {
    "accepted": 0,
    "queued": 1,
    "sending": 2,
    "sent": 3,
    "delivered": 4,
    "undelivered": 4,
    "failed": 4,
    "canceled": 4,
}
"""How far a message has come; a receipt that says less than is known changes nothing."""

AWAY: Final = frozenset({"30003", "30008"})
"""Codes of a handset that is switched off or out of reach, so that a second try may help."""
_OPTED_OUT: Final = frozenset({"21610"})
_BAD: Final = frozenset({"21211", "21614", "30005", "30006"})
TRY_AGAIN_AFTER: Final = timedelta(minutes=10)
_NOT_NOTED: Final = frozenset({"leased", "unknown"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAME: Final = re.compile(r"([0-9a-f-]{36})\.([0-9]{1,20})")
_AWAITED: Final = frozenset({"sent", "unknown"})


async def receipt(
    tx: Tx,
    channel: str,
    provider_ref: str,
    status: str,
    *,
    by: Actor,
    at: datetime,
    code: str | int | None = None,
    policy: Policy = DEFAULT,
    name: str | None = None,
) -> bool:
    """Record what the provider says became of a message.

    A handset that was out of reach is tried once more, ten minutes later. After that, and for all else that was not
    delivered, the person is tried another way.

    Args:
        tx: The transaction.
        channel: `sms` and so on.
        provider_ref: What the provider calls the message.
        status: `queued`, `sending`, `sent`, `delivered`, `undelivered` or `failed`.
        by: Who brought the receipt.
        at: Now.
        code: The provider's code for why it was not delivered.
        policy: What the installation decides.
        name: The try that the receipt names, as `name_of` gave it to the provider; None if it names none. It comes
            true before we know what the provider calls the message: a receipt may overtake the note of its sender.

    Returns:
        False when it changes nothing: it is known, late, about no message of ours, or in words that we do not know.
    """
    rank = RANKS.get(status)
    entry = await _about(tx, channel, provider_ref, name, by=by, at=at) if rank is not None else None
    if entry is None or rank is None or entry.state not in _AWAITED or rank <= RANKS.get(entry.receipt or "", -1):
        return False
    entry.receipt = status
    told = {"status": status, "code": str(code) if code is not None else None}
    if rank < RANKS["delivered"]:
        record(tx, entry, by=by, at=at, event="notification.receipt", **told)
    elif status == "delivered":
        let_go(entry, "delivered", None)
        record(tx, entry, by=by, at=at, **told)
    else:
        await _not_delivered(tx, entry, told, policy, by=by, at=at)
    await tx.flush()
    return True


def name_of(entry: OutboxEntry, tried_at: datetime) -> str:
    """Return the name of one try of a message, for the provider to call it by in its receipts."""
    return f"{entry.id}.{_micros(tried_at)}"


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


async def _about(
    tx: Tx, channel: str, provider_ref: str, name: str | None, *, by: Actor, at: datetime
) -> OutboxEntry | None:
    """Return the message of a receipt, locked; of one whose sender has not noted yet that it went, that is noted."""
    wanted = select(OutboxEntry).where(OutboxEntry.channel == channel)
    wanted = wanted.with_for_update().execution_options(populate_existing=True)
    known = await tx.session.scalar(wanted.where(OutboxEntry.provider_ref == provider_ref)) if provider_ref else None
    named = _NAME.fullmatch(name or "")
    if known is not None or named is None or not provider_ref:
        return known
    entry_id, tried = named.groups()
    entry = await tx.session.scalar(wanted.where(OutboxEntry.id == entry_id))
    if entry is None or entry.tried_at is None or tried != str(_micros(entry.tried_at)):
        return None  # a try before this one
    if entry.state not in _NOT_NOTED or entry.provider_ref is not None:
        return None
    let_go(entry, "sent", None)  # so the sender's own note comes too late, and counts for nothing
    entry.provider_ref, entry.in_doubt = provider_ref, False
    record(tx, entry, by=by, at=at)
    await breaker.worked(tx, channel, by=by, at=at)
    return entry


async def _not_delivered(
    tx: Tx, entry: OutboxEntry, told: dict[str, str | None], policy: Policy, *, by: Actor, at: datetime
) -> None:
    code = told["code"] or ""
    error = f"the provider says {told['status']}" + (f", code {code}" if code else "")
    again = at + TRY_AGAIN_AFTER
    in_time = entry.not_after is None or again < entry.not_after
    if code in AWAY and in_time and not entry.resent:
        let_go(entry, "pending", error)
        record(tx, entry, by=by, at=at, **told)
        entry.resent, entry.next_at, entry.receipt, entry.provider_ref = True, again, None, None
        entry.in_doubt, entry.polls = False, 0
        return
    let_go(entry, "dead", error)
    record(tx, entry, by=by, at=at, **told)
    await tx.flush()
    person = await tx.session.get_one(Person, entry.recipient_id)
    if code in _OPTED_OUT:
        await contacts.opt_out(tx, person, entry.channel, by=by, at=at, why=error)
    elif code in _BAD:
        await contacts.mark_bad(tx, person, entry.channel, by=by, at=at, why=error)
    await after_death(tx, entry, policy, by=by, at=at)
