"""Nobody gets more than so many messages an hour by a channel: what is over becomes one digest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select

from case_store.actor import Actor
from case_store.holds import hold
from case_store.models import Case, JsonMap, OutboxEntry, Person
from case_store.outbox.falling_over import recipient_of
from case_store.outbox.policy import DIGEST, NEVER_WAITS, NOT_IN_A_DIGEST, Policy
from case_store.outbox.telling import let_go, record
from case_store.store import Tx

HOUR: Final = timedelta(hours=1)
_TOOK_A_PLACE: Final = ("leased", "sent", "delivered", "unknown")
_AT_ONCE: Final = 1000
_NAMED: Final = 5


async def coalesce(tx: Tx, channel: str, policy: Policy, *, by: Actor, at: datetime) -> int:
    """Let nobody get more by a channel than the policy allows; returns how many messages became part of a digest.

    Of more messages to one person than there are places left in the hour, the last place goes to a digest of what
    else is due. Where no place is left, all of it waits until there is one. A sender does this before it claims, in the
    same transaction; it holds the channel's name until the end, so two relays do not fill the same place.
    """
    limit = policy.an_hour.get(channel)
    if limit is None:
        return 0
    await hold(tx, f"quota of {channel}")
    told = 0
    for person_id, due in (await _due(tx, channel, at)).items():
        places = await _places(tx, person_id, channel, limit, at)
        told += await _fit(tx, due, places, by=by, at=at)
    await tx.flush()
    return told


async def _due(tx: Tx, channel: str, at: datetime) -> dict[str, list[OutboxEntry]]:
    wanted = (
        select(OutboxEntry)
        .where(OutboxEntry.channel == channel, OutboxEntry.state == "pending", OutboxEntry.next_at <= at)
        .where(or_(OutboxEntry.not_after.is_(None), OutboxEntry.not_after > at))
        .where(OutboxEntry.template.not_in(NEVER_WAITS))
        .order_by(OutboxEntry.next_at, OutboxEntry.id)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    found: dict[str, list[OutboxEntry]] = defaultdict(list)
    for entry in await tx.session.scalars(wanted):
        found[entry.recipient_id].append(entry)
    return found


async def _places(tx: Tx, person_id: str, channel: str, limit: int, at: datetime) -> list[datetime]:
    """Return when each place of the hour is free: now, or an hour after the message that took it."""
    wanted = (
        select(OutboxEntry.tried_at)
        .where(OutboxEntry.recipient_id == person_id, OutboxEntry.channel == channel)
        .where(OutboxEntry.state.in_(_TOOK_A_PLACE) | OutboxEntry.receipt.is_not(None) | OutboxEntry.resent)
        .where(OutboxEntry.tried_at > at - HOUR)
        .order_by(OutboxEntry.tried_at.desc())
    )
    taken = [moment + HOUR for moment in await tx.session.scalars(wanted) if moment is not None]
    return [*[at] * (limit - len(taken)), *reversed(taken[:limit])][:limit]


async def _fit(tx: Tx, due: Sequence[OutboxEntry], places: Sequence[datetime], *, by: Actor, at: datetime) -> int:
    free = sum(moment <= at for moment in places)
    if len(due) <= free:
        return 0
    if not free:
        for entry in due:
            entry.next_at = places[0] if places else at + HOUR
        return 0
    rest = due[free - 1 :]  # those before have a place each; the last place is for what follows
    many = [entry for entry in rest if entry.template not in NOT_IN_A_DIGEST]
    alone = [entry for entry in rest if entry.template in NOT_IN_A_DIGEST]
    for entry in alone[0 if many else 1 :]:
        entry.next_at = places[free] if free < len(places) else at + HOUR
    if len(many) <= 1:
        return 0
    await _digest(tx, many, by=by, at=at)
    return len(many)


async def _digest(tx: Tx, entries: Sequence[OutboxEntry], *, by: Actor, at: datetime) -> None:
    first = entries[0]
    person = await tx.session.get_one(Person, first.recipient_id)
    digest = OutboxEntry(
        dedup_key=f"{DIGEST}:{first.id}:{first.attempts}:{person.id}:{first.channel}",
        channel=first.channel,
        recipient_id=person.id,
        template=DIGEST,
        context={"digest": await _facts(tx, entries), "recipient": recipient_of(person)},
        next_at=at,
        not_after=max((entry.not_after for entry in entries if entry.not_after), default=None),
    )
    tx.session.add(digest)
    for entry in entries:
        let_go(entry, "cancelled", "told in a digest")
        entry.told_in = digest.id
        record(tx, entry, by=by, at=at, event="notification.in_digest", told_in=digest.id)
    await tx.flush()


async def _facts(tx: Tx, entries: Sequence[OutboxEntry]) -> JsonMap:
    """Return what the digest says: how many messages, and about which cases. No content: any case may be sensitive."""
    ids = Counter(entry.case_id for entry in entries if entry.case_id)
    numbers = await tx.session.execute(select(Case.id, Case.number).where(Case.id.in_(ids)).order_by(Case.number))
    cases = [{"number": number, "messages": ids[case_id]} for case_id, number in numbers]
    return {"count": len(entries), "cases": cases[:_NAMED], "more": max(len(cases) - _NAMED, 0)}
