"""What the provider says later about a message that it took: receipts come late, twice, and in any order."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from case_store import contacts
from case_store.actor import Actor
from case_store.models import OutboxEntry, Person
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
}
"""How far a message has come; a receipt that says less than is known changes nothing."""

AWAY: Final = frozenset({"30003", "30008"})
"""Codes of a handset that is switched off or out of reach, so that a second try may help."""
_OPTED_OUT: Final = frozenset({"21610"})
_BAD: Final = frozenset({"21211", "21614", "30005", "30006"})
TRY_AGAIN_AFTER: Final = timedelta(minutes=10)
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
    bad_address: bool = False,
    policy: Policy = DEFAULT,
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
        bad_address: Whoever brings the receipt has seen in it that the address reaches nobody.
        policy: What the installation decides.

    Returns:
        False when it changes nothing: it is known, late, about no message of ours, or in words that we do not know.
    """
    rank = RANKS.get(status)
    wanted = select(OutboxEntry).where(OutboxEntry.channel == channel, OutboxEntry.provider_ref == provider_ref)
    entry = await tx.session.scalar(wanted.with_for_update().execution_options(populate_existing=True))
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
        await _not_delivered(tx, entry, told, policy, bad_address=bad_address, by=by, at=at)
    await tx.flush()
    return True


async def _not_delivered(
    tx: Tx,
    entry: OutboxEntry,
    told: dict[str, str | None],
    policy: Policy,
    *,
    bad_address: bool,
    by: Actor,
    at: datetime,
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
    elif bad_address or code in _BAD:
        await contacts.mark_bad(tx, person, entry.channel, by=by, at=at, why=error)
    await after_death(tx, entry, policy, by=by, at=at)
