"""Messages are taken for sending under a lease, and given up when they would come too late."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select

from case_store.actor import Actor
from case_store.models import OutboxEntry
from case_store.outbox.falling_over import after_death
from case_store.outbox.policy import DEFAULT, Policy
from case_store.outbox.telling import let_go, record
from case_store.store import Tx


async def claim(
    tx: Tx, at: datetime, lease: timedelta, limit: int, token: str, *, channel: str | None = None
) -> list[OutboxEntry]:
    """Take due messages for sending, the longest waiting first; they are ours until the lease ends.

    A message whose lease ended with nobody saying what became of it is in doubt, and so is one that came to be unknown
    and whose provider can be asked.

    Args:
        tx: The transaction.
        at: Now.
        lease: How long nobody else sends them; several times as long as a channel may take to answer.
        limit: How many at most.
        token: Names this claim; never used twice.
        channel: Only those of this channel; None for all.
    """
    waiting = and_(OutboxEntry.state == "pending", OutboxEntry.next_at <= at)
    asking = and_(OutboxEntry.state == "unknown", OutboxEntry.in_doubt, OutboxEntry.next_at <= at)
    given_up = and_(OutboxEntry.state == "leased", OutboxEntry.lease_until <= at)
    still_useful = or_(OutboxEntry.not_after.is_(None), OutboxEntry.not_after > at)
    wanted = (
        select(OutboxEntry)
        .where(or_(waiting, asking, given_up), still_useful)
        .order_by(OutboxEntry.next_at, OutboxEntry.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if channel is not None:
        wanted = wanted.where(OutboxEntry.channel == channel)
    entries = list(await tx.session.scalars(wanted))
    for entry in entries:
        entry.in_doubt = entry.in_doubt or entry.state == "leased"
        if entry.state != "unknown":
            entry.attempts += 1
        if not entry.in_doubt:
            entry.tried_at = at
        entry.state, entry.token, entry.lease_until = "leased", token, at + lease
    await tx.flush()
    return entries


async def trying_again(tx: Tx, entry: OutboxEntry, at: datetime, lease: timedelta) -> bool:
    """Note that a message in doubt is about to be sent again, and extend the lease.

    Returns:
        False when somebody else took the message: then it must not be sent.
    """
    held = await still_held(tx, entry)
    if held is None:
        return False
    held.in_doubt, held.polls, held.tried_at, held.lease_until = False, 0, at, at + lease
    await tx.flush()
    return True


async def still_held(tx: Tx, entry: OutboxEntry) -> OutboxEntry | None:
    """Read and lock a message as it is now; None when its token no longer holds it."""
    wanted = select(OutboxEntry).where(OutboxEntry.id == entry.id).with_for_update()
    held = (await tx.session.scalars(wanted.execution_options(populate_existing=True))).one()
    return held if held.state == "leased" and held.token == entry.token else None


async def expire(tx: Tx, *, by: Actor, at: datetime, limit: int = 100, policy: Policy = DEFAULT) -> int:
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
        let_go(entry, "dead", "not sent in time" + (f"; last: {entry.last_error}" if entry.last_error else ""))
        record(tx, entry, by=by, at=at)
        await after_death(tx, entry, policy, by=by, at=at)
    await tx.flush()
    return len(entries)
