"""What became of one try is put on record, and what follows from it is promised in the same transaction."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from case_store import contacts
from case_store.actor import Actor
from case_store.models import OutboxEntry, OutboxState, Person
from case_store.outbox import breaker
from case_store.outbox.claiming import still_held
from case_store.outbox.falling_over import after_death
from case_store.outbox.policy import DEFAULT, DOUBT_LASTS, MAX_ATTEMPTS, Outcome, Policy, Result
from case_store.outbox.receipts import receipt
from case_store.outbox.telling import let_go, record
from case_store.store import Tx

_FIRST_DELAY: Final = timedelta(seconds=5)
_LONGEST_DELAY: Final = timedelta(hours=1)


async def settle(
    tx: Tx, entry: OutboxEntry, result: Result, *, by: Actor, at: datetime, policy: Policy = DEFAULT
) -> bool:
    """Record what became of a message, and do what follows: note who opted out, tell others, leave the channel alone.

    Args:
        tx: The transaction.
        entry: The message as it was claimed.
        result: What the try came to.
        by: Who sent it.
        at: Now.
        policy: What the installation decides.

    Returns:
        False when the lease had ended and somebody else took the message: then nothing is recorded.
    """
    held = await still_held(tx, entry)
    if held is None:
        return False
    delay = max(delay_of(held), result.retry_after or timedelta())
    if result.not_tried or await _channel_at_fault(tx, held, result, policy, by=by, at=at):
        held.attempts -= 1  # it is not the message's fault
    held.attempts += result.not_asked  # somebody who can never be asked is not asked for ever
    held.provider_ref = result.provider_ref or held.provider_ref
    let_go(held, _state_after(held, result, at + delay), result.error)
    held.next_at = _next_at(held, result, at, delay)
    held.in_doubt = held.state == "unknown" and result.ask_again is not None
    held.polls += result.asked
    record(tx, held, by=by, at=at)
    await _note_address(tx, held, result, by=by, at=at)
    if held.state == "dead":
        await after_death(tx, held, policy, by=by, at=at)
    await tx.flush()
    if result.receipt is not None and held.provider_ref is not None:
        status, code = result.receipt
        await receipt(tx, held.channel, held.provider_ref, status, code=code, by=by, at=at, policy=policy)
    return True


async def _channel_at_fault(
    tx: Tx, entry: OutboxEntry, result: Result, policy: Policy, *, by: Actor, at: datetime
) -> bool:
    if result.asked or result.not_asked:
        return False
    if result.channel_fault or result.outcome in {"temporary", "unknown"}:
        return await breaker.failed(tx, entry, result, policy, by=by, at=at)
    await breaker.worked(tx, entry.channel, by=by, at=at)
    return False


async def _note_address(tx: Tx, entry: OutboxEntry, result: Result, *, by: Actor, at: datetime) -> None:
    if not (result.opted_out or result.bad_address):
        return
    person = await tx.session.get_one(Person, entry.recipient_id)
    why = result.error or "the provider said so"
    note = contacts.opt_out if result.opted_out else contacts.mark_bad
    await tx.flush()
    await note(tx, person, entry.channel, by=by, at=at, why=why)


_FINAL: Final[dict[Outcome, OutboxState]] = {"ok": "sent", "permanent": "dead", "unknown": "unknown"}


def _state_after(entry: OutboxEntry, result: Result, next_at: datetime) -> OutboxState:
    if result.outcome == "temporary" or result.channel_fault:
        too_late = entry.not_after is not None and next_at >= entry.not_after
        return "dead" if entry.attempts >= MAX_ATTEMPTS or too_late else "pending"
    if result.not_asked and entry.attempts >= MAX_ATTEMPTS:
        return "dead"
    return _FINAL[result.outcome]


def _next_at(entry: OutboxEntry, result: Result, at: datetime, delay: timedelta) -> datetime:
    if entry.state == "pending":
        return at + delay
    if entry.state == "unknown":
        return at + (DOUBT_LASTS if result.ask_again is None else result.ask_again)
    return entry.next_at


def delay_of(entry: OutboxEntry) -> timedelta:
    """Return a back-off that doubles and is spread by up to a half, so that many failures do not come back at once."""
    longest = min(_LONGEST_DELAY, _FIRST_DELAY * (1 << max(entry.attempts, 0)))
    spread = hashlib.sha256(f"{entry.id}:{entry.attempts}".encode()).digest()[0] / 255
    return longest - longest * spread / 2
