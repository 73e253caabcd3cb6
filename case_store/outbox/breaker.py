"""A channel that fails several times in a row is left alone for a while, by all relays; then one message tries it.

Closed: messages flow. Open until a moment: nothing is tried. After that moment: one message at a time is tried, and
what becomes of it closes the breaker or opens it for twice as long.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from case_store.actor import Actor
from case_store.audit.commitments import Personal
from case_store.holds import hold
from case_store.models import Breaker, OutboxEntry, Person
from case_store.outbox.alarms import alarm
from case_store.outbox.policy import Policy, Result
from case_store.store import Tx

FAILURES: Final = 5
_FIRST: Final = timedelta(seconds=30)
_LONGEST: Final = timedelta(minutes=5)
_MANY: Final = 10
_SAYS_SOMETHING: Final = 3
"""A message that failed more often than this has a trouble of its own, and says nothing about its channel."""


async def allowed(tx: Tx, channel: str, at: datetime, limit: int) -> int:
    """Return how many messages may be tried by a channel now: all, one to see whether it works again, or none."""
    found = await tx.session.get(Breaker, channel)
    if found is None or found.open_until is None:
        return limit
    return 1 if found.open_until <= at else 0


async def probe(tx: Tx, channel: str, at: datetime, lease: timedelta) -> bool:
    """Let one message try a channel that was left alone; False when somebody else is trying it."""
    found = await _locked(tx, channel)
    if found.open_until is None:
        return True
    if found.open_until > at:
        return False
    found.open_until, found.probed_at = at + lease, at
    await tx.flush()
    return True


async def failed(tx: Tx, entry: OutboxEntry, result: Result, policy: Policy, *, by: Actor, at: datetime) -> bool:
    """Count a failure of a message's channel. At the fifth in a row, or when the channel is at fault, it is opened.

    Returns:
        True when the channel is at fault, and so the message was not really tried.
    """
    found = await _locked(tx, entry.channel)
    probing = found.probed_at is not None
    if found.open_until is not None and not probing:
        return result.channel_fault  # it was under way when the channel was left alone, and says nothing new
    if not probing and not result.channel_fault and entry.attempts > _SAYS_SOMETHING:
        return False
    found.failures += 1
    if not (probing or result.channel_fault or found.failures >= FAILURES):
        await tx.flush()
        return False
    found.times_open += 1
    found.probed_at = None
    found.opened_at = found.opened_at or at
    wait = min(_LONGEST, _FIRST * (1 << min(found.times_open - 1, _MANY)))
    found.open_until = at + max(wait, min(result.retry_after or wait, _LONGEST))
    facts = {
        "breaker": entry.channel,
        "failures": found.failures,
        "until": found.open_until.isoformat(),
        "error": Personal(result.error, (Person.entity_type, entry.recipient_id)),
    }
    tx.record("channel.left_alone", None, by=by, at=at, facts=facts)
    await tx.flush()
    await alarm(tx, entry, "channel", policy, at=at)
    return result.channel_fault


async def worked(tx: Tx, channel: str, *, by: Actor, at: datetime) -> bool:
    """Close the breaker of a channel that worked; False when there was nothing to forget."""
    known = await tx.session.get(Breaker, channel)
    if known is None or not known.failures:
        return False
    found = await _locked(tx, channel)
    was_open = found.open_until is not None
    found.failures, found.times_open, found.opened_at, found.open_until, found.probed_at = 0, 0, None, None, None
    if was_open:
        tx.record("channel.works_again", None, by=by, at=at, facts={"breaker": channel})
    await tx.flush()
    return True


async def _locked(tx: Tx, channel: str) -> Breaker:
    await hold(tx, f"breaker of {channel}")
    wanted = select(Breaker).where(Breaker.channel == channel).with_for_update()
    found = await tx.session.scalar(wanted.execution_options(populate_existing=True))
    if found is None:
        found = Breaker(channel=channel)
        tx.session.add(found)
    return found
