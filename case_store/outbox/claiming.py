"""Messages are taken for sending under a lease."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select

from case_store.models import OutboxEntry
from case_store.outbox.policy import MAX_ATTEMPTS, NEVER_WAITS
from case_store.store import Tx

_SUSPECT: Final = 3
"""A message that was left behind when it had been claimed so often may be what ends its senders."""


def _takeable(at: datetime, channel: str | None) -> ColumnElement[bool]:
    waiting = and_(OutboxEntry.state == "pending", OutboxEntry.next_at <= at)
    asking = and_(OutboxEntry.state == "unknown", OutboxEntry.in_doubt, OutboxEntry.next_at <= at)
    left = and_(OutboxEntry.state == "leased", OutboxEntry.lease_until <= at, OutboxEntry.attempts < MAX_ATTEMPTS)
    still_useful = or_(OutboxEntry.not_after.is_(None), OutboxEntry.not_after > at)
    found = and_(or_(waiting, asking, left), still_useful)
    return found if channel is None else and_(found, OutboxEntry.channel == channel)


async def anything_due(tx: Tx, channel: str, at: datetime) -> bool:
    """Tell whether a message waits to be claimed; it costs no lock and no write."""
    return await tx.session.scalar(select(OutboxEntry.id).where(_takeable(at, channel)).limit(1)) is not None


async def claim(
    tx: Tx,
    at: datetime,
    lease: timedelta,
    limit: int,
    token: str,
    *,
    channel: str | None = None,
    among: Sequence[str] | None = None,
) -> list[OutboxEntry]:
    """Take due messages for sending, the longest waiting first; they are ours until the lease ends.

    A message whose lease ended with nobody saying what became of it is in doubt, and so is one that came to be unknown
    and whose provider can be asked. One that was left behind several times is taken alone, so that it takes no others
    with it if it is what ends its senders; after eight times nobody takes it, and `expire` gives it up.

    Args:
        tx: The transaction.
        at: Now.
        lease: How long nobody else sends them; several times as long as a channel may take to answer.
        limit: How many at most.
        token: Names this claim; never used twice.
        channel: Only those of this channel; None for all.
        among: Ids of the messages for which the quota has a place; None where there is no quota. What never waits, and
            what was tried already, needs none.
    """
    wanted = (
        select(OutboxEntry)
        .where(_takeable(at, channel))
        .order_by(OutboxEntry.next_at, OutboxEntry.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if among is not None:
        has_a_place = or_(OutboxEntry.id.in_(among), OutboxEntry.template.in_(NEVER_WAITS))
        wanted = wanted.where(or_(OutboxEntry.state != "pending", has_a_place))
    entries = _one_suspect(list(await tx.session.scalars(wanted)))
    for entry in entries:
        entry.in_doubt = entry.in_doubt or entry.state == "leased"
        if entry.state != "unknown":
            entry.attempts += 1
        if not entry.in_doubt:
            entry.tried_at = at
        entry.state, entry.token, entry.lease_until = "leased", token, at + lease
    await tx.flush()
    return entries


def _one_suspect(entries: list[OutboxEntry]) -> list[OutboxEntry]:
    """Return one message that may be what ends its senders, alone; all of them where none may."""
    return [one for one in entries if one.state == "leased" and one.attempts >= _SUSPECT][:1] or entries


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
