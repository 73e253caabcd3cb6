"""Nobody gets more than so many messages an hour by a channel: what is over becomes one digest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, func, or_, select

from case_store import contacts
from case_store.actor import Actor
from case_store.holds import hold
from case_store.models import Case, JsonMap, OutboxEntry, Person
from case_store.outbox.policy import DIGEST, NEVER_WAITS, NOT_IN_A_DIGEST, Policy
from case_store.outbox.telling import let_go, record
from case_store.store import Tx

HOUR: Final = timedelta(hours=1)
_TOOK_A_PLACE: Final = ("leased", "sent", "delivered", "unknown")
_AT_ONCE: Final = 1000
_NAMED: Final = 5


async def coalesce(tx: Tx, channel: str, policy: Policy, *, by: Actor, at: datetime) -> list[str] | None:
    """Let nobody get more by a channel than the policy allows.

    Of more messages to one person than there are places left in the hour, the last place goes to a digest of what
    else is due. Where no place is left, all of it waits until there is one. A sender does this before it claims, in the
    same transaction; it holds the channel's name until the end, so two relays do not fill the same place.

    Returns:
        The ids of the messages that have a place: only they may be claimed now. None where there is no limit.
    """
    limit = policy.an_hour.get(channel)
    if limit is None:
        return None
    await hold(tx, f"quota of {channel}")
    found: list[str] = []
    for person_id, due in (await _due(tx, channel, at)).items():
        places = await _places(tx, person_id, channel, limit, at)
        found += [entry.id for entry in await _fit(tx, due, places, by=by, at=at)]
    await tx.flush()
    return found


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


async def _fit(
    tx: Tx, due: Sequence[OutboxEntry], places: Sequence[datetime], *, by: Actor, at: datetime
) -> list[OutboxEntry]:
    """Return what may leave now; what else is due waits for a place, or is told in a digest."""
    free = sum(moment <= at for moment in places)
    if len(due) <= free:
        return list(due)
    later = places[free] if free < len(places) else at + HOUR
    if not free:
        _wait(due, later)
        return []
    first, rest = list(due[: free - 1]), due[free - 1 :]  # the last place is for what follows
    many = [entry for entry in rest if entry.template not in NOT_IN_A_DIGEST]
    alone = [entry for entry in rest if entry.template in NOT_IN_A_DIGEST]
    if not many:
        _wait(alone[1:], later)
        return [*first, *alone[:1]]
    last = await _digest(tx, many, by=by, at=at) if len(many) > 1 else many[0]
    _wait([entry for entry in alone if entry is not last], later)
    return [*first, last]


def _wait(entries: Sequence[OutboxEntry], until: datetime) -> None:
    for entry in entries:
        entry.next_at = until


async def _digest(tx: Tx, entries: Sequence[OutboxEntry], *, by: Actor, at: datetime) -> OutboxEntry:
    """Have messages told in a digest: one that has not been tried yet, or a new one."""
    first = entries[0]
    person = await tx.session.get_one(Person, first.recipient_id)
    digest = await _begun(tx, first) or OutboxEntry(
        dedup_key=f"{DIGEST}:{first.id}:{first.attempts}:{person.id}:{first.channel}",
        channel=first.channel,
        recipient_id=person.id,
        template=DIGEST,
    )
    digest.next_at = at
    digest.not_after = max((one.not_after for one in (*entries, digest) if one.not_after), default=None)
    tx.session.add(digest)
    for entry in entries:
        let_go(entry, "cancelled", "told in a digest")
        entry.told_in = digest.id
        record(tx, entry, by=by, at=at, event="notification.in_digest", told_in=digest.id)
    await tx.flush()
    digest.context = {"digest": await _facts(tx, digest), "recipient": contacts.recipient_of(person)}
    await tx.flush()
    return digest


async def _begun(tx: Tx, entry: OutboxEntry) -> OutboxEntry | None:
    """Return a digest for the same person and channel that nobody has tried to send yet."""
    wanted = (
        select(OutboxEntry)
        .where(OutboxEntry.recipient_id == entry.recipient_id, OutboxEntry.channel == entry.channel)
        .where(OutboxEntry.state == "pending", OutboxEntry.template == DIGEST, OutboxEntry.attempts == 0)
        .order_by(OutboxEntry.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return await tx.session.scalar(wanted)


async def _facts(tx: Tx, digest: OutboxEntry) -> JsonMap:
    """Return what the digest says: how many messages, and about which cases. No content: any case may be sensitive."""
    of_it = and_(
        OutboxEntry.recipient_id == digest.recipient_id,
        OutboxEntry.channel == digest.channel,
        OutboxEntry.told_in == digest.id,
    )
    count = await tx.session.scalar(select(func.count()).where(of_it))
    by_case = select(Case.number, func.count()).join(OutboxEntry, OutboxEntry.case_id == Case.id).where(of_it)
    counted = await tx.session.execute(by_case.group_by(Case.number).order_by(Case.number))
    cases = [{"number": number, "messages": messages} for number, messages in counted]
    return {"count": count, "cases": cases[:_NAMED], "more": max(len(cases) - _NAMED, 0)}
