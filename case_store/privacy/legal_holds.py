"""Legal holds: as long as one lasts, nothing of that case or person is erased."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select

from case_store import find, texts
from case_store.actor import Actor
from case_store.holds import hold
from case_store.models import AuditEvent, AuditPrivate, Case, Evidence, Note, OutboxEntry, Person, Task
from case_store.privacy import erasing
from case_store.store import Tx


async def hold_case(tx: Tx, case: Case, reason: str, *, by: Actor, at: datetime) -> Case:
    """Keep everything in a case, and everybody who appears in it, from being erased.

    Raises:
        TextRequired: There is no reason.
    """
    await hold(tx, erasing.LOCK)
    case = await find.case(tx, case.id, lock=True)
    case.legal_hold = texts.words(reason, "the reason")
    tx.record("case.held", case, by=by, at=at)
    await tx.flush()
    return case


async def release_case(tx: Tx, case: Case, *, by: Actor, at: datetime) -> bool:
    """End the hold of a case; False when there was none."""
    await hold(tx, erasing.LOCK)
    case = await find.case(tx, case.id, lock=True)
    if case.legal_hold is None:
        return False
    case.legal_hold = None
    tx.record("case.released", case, by=by, at=at)
    await tx.flush()
    return True


async def hold_person(tx: Tx, person: Person, reason: str, *, by: Actor, at: datetime) -> Person:
    """Keep a person from being erased.

    Raises:
        TextRequired: There is no reason.
    """
    await hold(tx, erasing.LOCK)
    person = await erasing.person_now(tx, person.id)
    person.legal_hold = texts.words(reason, "the reason")
    tx.record("person.held", person, by=by, at=at)
    await tx.flush()
    return person


async def release_person(tx: Tx, person: Person, *, by: Actor, at: datetime) -> bool:
    """End the hold of a person; False when there was none."""
    await hold(tx, erasing.LOCK)
    person = await erasing.person_now(tx, person.id)
    if person.legal_hold is None:
        return False
    person.legal_hold = None
    tx.record("person.released", person, by=by, at=at)
    await tx.flush()
    return True


async def held_cases_with(tx: Tx, person: Person) -> Sequence[int]:
    """Return the numbers of the held cases in which a person appears, in whatever part."""
    actor = str(Actor.person(person))
    mentioned = (
        select(AuditEvent.stream)
        .join(AuditPrivate, AuditPrivate.event_id == AuditEvent.event_id)
        .where(AuditPrivate.about_type == Person.entity_type, AuditPrivate.about_id == person.id)
    )
    acted = select(AuditEvent.stream).where(AuditEvent.actor_kind == "person", AuditEvent.actor_id == person.id)
    in_tasks = select(Task.case_id).where(or_(Task.owner_id == person.id, Task.closed_by_id == person.id))
    stream = "case/" + Case.id
    appears = or_(
        Case.owner_id == person.id,
        Case.opened_by == actor,
        Case.id.in_(in_tasks),
        Case.id.in_(select(Note.case_id).where(Note.author == actor)),
        Case.id.in_(select(Evidence.case_id).where(Evidence.added_by == actor)),
        Case.id.in_(select(OutboxEntry.case_id).where(OutboxEntry.recipient_id == person.id)),
        stream.in_(acted),
        stream.in_(mentioned),
    )
    wanted = select(Case.number).where(Case.legal_hold.is_not(None), appears).order_by(Case.number)
    return (await tx.session.scalars(wanted)).all()
