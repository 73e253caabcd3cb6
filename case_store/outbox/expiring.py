"""What nobody would end otherwise: messages that come too late, doubts that last, senders that die of a message."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import aliased

from case_store.actor import Actor
from case_store.models import OutboxEntry
from case_store.outbox.falling_over import after_death
from case_store.outbox.policy import DEFAULT, DIGEST, GOES_AGAIN, MAX_ATTEMPTS, Policy
from case_store.outbox.telling import let_go, record
from case_store.store import Tx

_RECENT: Final = timedelta(days=7)
"""How long a digest that died is looked at; its members fall over in the seconds after its death."""

DOUBT: Final = "nobody can say whether it arrived"


def _left_behind(at: datetime) -> ColumnElement[bool]:
    return and_(OutboxEntry.state == "leased", OutboxEntry.lease_until <= at)


def _to_end(at: datetime) -> ColumnElement[bool]:
    unsent = or_(OutboxEntry.state == "pending", _left_behind(at))
    late = and_(or_(unsent, OutboxEntry.state == "unknown"), OutboxEntry.not_after <= at)
    in_doubt = and_(OutboxEntry.state == "unknown", OutboxEntry.in_doubt.is_(False), OutboxEntry.next_at <= at)
    deadly = and_(_left_behind(at), OutboxEntry.attempts >= MAX_ATTEMPTS)
    return or_(late, in_doubt, deadly)


def _of_dead_digests(at: datetime) -> Select[OutboxEntry, str | None]:
    """Select what was told in a digest that is dead; recipient and channel are compared for the sake of the index."""
    digest = aliased(OutboxEntry)
    same = and_(
        OutboxEntry.told_in == digest.id,
        OutboxEntry.recipient_id == digest.recipient_id,
        OutboxEntry.channel == digest.channel,
    )
    dead = and_(digest.state == "dead", digest.template == DIGEST, digest.next_at > at - _RECENT)
    return select(OutboxEntry, digest.last_error).join(digest, same).where(dead, OutboxEntry.state == "cancelled")


async def anything_to_end(tx: Tx, at: datetime) -> bool:
    """Tell whether `expire` would do something; it costs no lock and no write."""
    looks = (select(OutboxEntry.id).where(_to_end(at)), _of_dead_digests(at).with_only_columns(OutboxEntry.id))
    return any([await tx.session.scalar(look.limit(1)) is not None for look in looks])


async def expire(tx: Tx, *, by: Actor, at: datetime, limit: int = 100, policy: Policy = DEFAULT) -> int:
    """End messages that nobody would end otherwise; returns how many.

    Given up are those that nobody is sending and that come too late to be useful, in doubt or not; those in doubt for
    which no receipt came, where nobody can be asked (a letter goes once more first); and those that eight senders did
    not survive. What was told in a digest that is dead falls over by itself, message for message.
    """
    wanted = select(OutboxEntry).where(_to_end(at)).order_by(OutboxEntry.id).limit(limit)
    wanted = wanted.with_for_update(skip_locked=True).execution_options(populate_existing=True)
    entries = list(await tx.session.scalars(wanted))
    for entry in entries:
        if _goes_again(entry, at):
            _send_again(entry, at)
            record(tx, entry, by=by, at=at)
            continue
        let_go(entry, "dead", _why(entry, at))
        record(tx, entry, by=by, at=at)
        await after_death(tx, entry, policy, by=by, at=at)
    await tx.flush()
    return len(entries) + await _let_members_fall_over(tx, policy, limit, by=by, at=at)


def _goes_again(entry: OutboxEntry, at: datetime) -> bool:
    in_time = entry.not_after is None or entry.not_after > at
    return entry.state == "unknown" and entry.channel in GOES_AGAIN and not entry.resent and in_time


def _send_again(entry: OutboxEntry, at: datetime) -> None:
    let_go(entry, "pending", _with_last(entry, DOUBT))
    entry.resent, entry.next_at, entry.polls = True, at, 0


def _why(entry: OutboxEntry, at: datetime) -> str:
    if entry.state == "unknown":
        return _with_last(entry, DOUBT)
    late = entry.not_after is not None and entry.not_after <= at
    return _with_last(entry, "not sent in time" if late else f"{entry.attempts} senders died or hung while they had it")


def _with_last(entry: OutboxEntry, why: str) -> str:
    return why + (f"; last: {entry.last_error}" if entry.last_error else "")


async def _let_members_fall_over(tx: Tx, policy: Policy, limit: int, *, by: Actor, at: datetime) -> int:
    wanted = _of_dead_digests(at).order_by(OutboxEntry.id).limit(limit)
    wanted = wanted.with_for_update(skip_locked=True, of=OutboxEntry).execution_options(populate_existing=True)
    found = (await tx.session.execute(wanted)).all()
    for entry, why in found:
        let_go(entry, "dead", "the digest that told it reached nobody" + (f"; last: {why}" if why else ""))
        entry.told_in = None
        record(tx, entry, by=by, at=at)
        await after_death(tx, entry, policy, by=by, at=at)
    await tx.flush()
    return len(found)
