"""Out of office: who is away, until when, and who stands in for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select

from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.models import Person
from case_store.refusals import AbsenceRefused
from case_store.store import Tx


def is_away(person: Person, at: datetime) -> bool:
    """Tell whether somebody is out of office at a moment."""
    return person.away_from is not None and person.away_from <= at and not _is_back(person, at)


def _is_back(person: Person, at: datetime) -> bool:
    return person.away_until is not None and person.away_until <= at


async def set_away(
    tx: Tx, person: Person, *, start: datetime, until: datetime | None, deputy: Person | None, by: Actor, at: datetime
) -> Person:
    """Record that somebody is out of office; it takes the place of what was on record before.

    Args:
        tx: The transaction.
        person: Who is away.
        start: From when.
        until: Until when, that moment not included; None when nobody knows yet.
        deputy: Who stands in; None when nobody does: then messages go to the person all the same.
        by: Who says so.
        at: Now.

    Raises:
        AbsenceRefused: It would end before it begins or is over, or the deputy cannot stand in.
    """
    person = await _now(tx, person)
    if until is not None and until <= max(start, at):
        raise AbsenceRefused(f"the absence of {person.handle} would end before it begins, or is over already")
    if deputy is not None:
        await _refuse_deputy(tx, person, deputy)
    person.away_from, person.away_until = start, until
    person.deputy_id = deputy.id if deputy else None
    facts = {"deputy": personal(deputy, deputy.handle)} if deputy else None
    tx.record("person.away", person, by=by, at=at, facts=facts)
    await tx.flush()
    return person


async def set_back(tx: Tx, person: Person, *, by: Actor, at: datetime) -> bool:
    """Record that somebody is in the office again, or does not go; False when they were not away."""
    person = await _now(tx, person)
    if person.away_from is None:
        return False
    person.away_from = person.away_until = person.deputy_id = None
    tx.record("person.back", person, by=by, at=at)
    await tx.flush()
    return True


async def standing_in(tx: Tx, people: Iterable[Person], at: datetime) -> list[Person]:
    """Return who is to hear in place of those who are away: deputies, and deputies of deputies; each person once.

    Who is away and has nobody who stands in stays: late is better than never.
    """
    found = {(there := await _there(tx, person, at)).id: there for person in people}
    return list(found.values())


async def _there(tx: Tx, person: Person, at: datetime) -> Person:
    seen, now = {person.id}, person
    while is_away(now, at) and now.deputy_id is not None:
        deputy = await tx.session.get(Person, now.deputy_id)
        if deputy is None or not deputy.active or deputy.id in seen:
            return person
        seen.add(deputy.id)
        now = deputy
    return person if is_away(now, at) else now


async def _refuse_deputy(tx: Tx, person: Person, deputy: Person) -> None:
    if not deputy.active:
        raise AbsenceRefused(f"{deputy.handle} is not active, and so cannot stand in")
    chain, now = [person.handle], deputy
    while now.id != person.id:
        chain.append(now.handle)
        following = await tx.session.get(Person, now.deputy_id) if now.deputy_id else None
        if following is None or following.handle in chain[1:]:
            return
        now = following
    raise AbsenceRefused(f"{person.handle} would stand in for themselves: {' > '.join([*chain, person.handle])}")


async def _now(tx: Tx, person: Person) -> Person:
    wanted = select(Person).where(Person.id == person.id).with_for_update()
    return (await tx.session.scalars(wanted.execution_options(populate_existing=True))).one()
