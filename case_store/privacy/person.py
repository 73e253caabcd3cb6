"""Erase a person: what is disclosed about them in the record, and what the tables say of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, func, or_, select, update

from case_store import find, outbox, texts
from case_store.actor import Actor
from case_store.audit.commitments import pseudonym
from case_store.holds import hold
from case_store.models import AuditEvent, Case, Evidence, Note, OutboxEntry, Person, Question, Reply, Task
from case_store.privacy import erasing
from case_store.privacy.content import Erasure, erase_rows
from case_store.privacy.legal_holds import held_cases_with
from case_store.privacy.refusals import Held, StillAtWork
from case_store.store import Tx

_COMMITTED_SINCE: Final = 3  # the schema version
_CLOSED: Final = ("done", "rejected", "skipped", "not_applicable", "cancelled")


@dataclass(frozen=True, slots=True)
class Traces:
    """What there is of a person, by number.

    Attributes:
        disclosures: Values in events that are disclosed and can be erased.
        signed_tasks: Tasks that say who decided.
        messages: Messages to them, sent or not.
        replies: Notes made of what they sent back, and mails as they came.
        clear_events: Events from before there were commitments that name them in clear; those cannot be erased.
        named_by_sops: Tasks whose SOP names them by handle; the SOP's text is kept as it is.
    """

    disclosures: int
    signed_tasks: int
    messages: int
    replies: int
    clear_events: int
    named_by_sops: int


@dataclass(frozen=True, slots=True)
class ErasedPerson:
    """What was erased, and the handle that is left; `already` when there was nothing left to erase.

    Of their mails the bytes are in `files`: they are deleted once the transaction is through (`Blobs.forget`).
    """

    handle: str
    traces: Traces
    already: bool
    files: tuple[str, ...] = ()


async def traces(tx: Tx, person: Person) -> Traces:
    """Count what an erasure would take away, and what it would have to leave."""
    found = await erasing.disclosed(tx, Person.entity_type, [person.id])
    return Traces(
        disclosures=sum(found.get(person.id, {}).values()),
        signed_tasks=len(await _signed(tx, person)),
        messages=len(await _messages(tx, person)),
        replies=sum([len(rows) for rows in (await _replies(tx, person)).values()]),
        clear_events=await _number(tx, AuditEvent.event_id, _clear(person)),
        named_by_sops=await _number(tx, Task.id, Task.owner_rule == f"user:{person.handle}"),
    )


async def erase_person(
    tx: Tx, person: Person, *, basis: str, ticket: str | None = None, by: Actor, at: datetime
) -> ErasedPerson:
    """Erase what is personal about somebody; a second time takes away what came in between, if anything did.

    Args:
        tx: The transaction.
        person: Whom.
        basis: On what ground, for the record; no personal value belongs in it.
        ticket: Where the request is kept, if anywhere.
        by: Who erases.
        at: Now.

    Raises:
        Held: A legal hold keeps the person, or a case in which they appear.
        StillAtWork: They own open tasks or cases.
        TextRequired: There is no basis.
    """
    ground = texts.words(basis, "the basis")
    await hold(tx, erasing.LOCK)
    person = await erasing.person_now(tx, person.id)
    await refuse_kept(tx, person)
    found = await traces(tx, person)
    pointers = sorted((await erasing.disclosed(tx, Person.entity_type, [person.id])).get(person.id, ()))
    alias = pseudonym(person.id)
    left = found.disclosures or found.signed_tasks or found.messages or found.replies
    if person.handle == alias and not left:
        return ErasedPerson(alias, found, already=True)
    files = await _forget_replies(tx, person, Erasure(ground, ticket, by, at))
    await _unname(tx, person, alias, by=by, at=at)
    erasing.overwrite(person)
    person.active, person.roles, person.time_zone = False, [], None
    facts = {"basis": ground, "ticket": ticket, "disclosures": found.disclosures, "pointers": pointers}
    tx.record("privacy.erased", person, by=by, at=at, facts=facts)
    await erasing.forget(tx, Person.entity_type, [person.id])
    return ErasedPerson(alias, found, already=False, files=files)


async def refuse_kept(tx: Tx, person: Person) -> None:
    """Refuse to erase somebody whom a hold keeps, or who still has work.

    Raises:
        Held: See `erase_person`.
        StillAtWork: See `erase_person`.
    """
    if person.legal_hold is not None:
        raise Held(f"{person.handle} is under a legal hold: {person.legal_hold}")
    if numbers := await held_cases_with(tx, person):
        named = ", ".join(f"CASE-{number}" for number in numbers)
        raise Held(f"{person.handle} appears in what a legal hold keeps: {named}")
    of_tasks = select(Case.number, Task.key).join(Task, Task.case_id == Case.id).order_by(Case.number, Task.position)
    open_tasks = await tx.session.execute(of_tasks.where(Task.owner_id == person.id, Task.state.not_in(_CLOSED)))
    of_cases = select(Case.number).where(Case.owner_id == person.id, Case.state == "open").order_by(Case.number)
    work = [f"{number}/{key}" for number, key in open_tasks]
    work += [f"CASE-{number}" for number in await tx.session.scalars(of_cases)]
    if work:
        raise StillAtWork(f"{person.handle} still has {', '.join(work)}")


async def _forget_replies(tx: Tx, person: Person, erasure: Erasure) -> tuple[str, ...]:
    """Erase what they sent back; return the files that nobody needs any more."""
    files: set[str] = set()
    for case_id, rows in (await _replies(tx, person)).items():
        case = await find.case(tx, case_id, lock=True)
        files |= set((await erase_rows(tx, case, rows, erasure)).files)
    return tuple(sorted(files))


async def _replies(tx: Tx, person: Person) -> dict[str, list[Note | Evidence]]:
    """Find, by case, the notes and mails that came of what they sent back and that still say something."""
    found: dict[str, list[Note | Evidence]] = defaultdict(list)
    theirs = Reply.person_id == person.id
    for note in await tx.session.scalars(select(Note).join(Reply, Reply.note_id == Note.id).where(theirs)):
        if note.body != pseudonym(note.id):
            found[note.case_id].append(note)
    for mail in await tx.session.scalars(select(Evidence).join(Reply, Reply.evidence_id == Evidence.id).where(theirs)):
        if mail.case_id is not None and mail.name != pseudonym(mail.id):
            found[mail.case_id].append(mail)
    return dict(sorted(found.items()))


async def _unname(tx: Tx, person: Person, alias: str, *, by: Actor, at: datetime) -> None:
    """Put the pseudonym where tables name the person outside their own row."""
    for task in await _signed(tx, person):
        task.signed_by = alias
        tx.record("privacy.pseudonymised", task, by=by, at=at)
    for entry in await _messages(tx, person):
        outbox.anonymise(tx, entry, by=by, at=at)
    for column in (Question.reason, Question.refusal):
        named = column.contains(person.handle, autoescape=True)
        await tx.session.execute(update(Question).where(named).values({column: None}))
    await tx.flush()


async def _signed(tx: Tx, person: Person) -> Sequence[Task]:
    """Find the tasks that say who decided, by the handle; after a first erasure, by who closed them."""
    alias = pseudonym(person.id)
    theirs = or_(Task.signed_by == person.handle, Task.closed_by_id == person.id)
    wanted = select(Task).where(theirs, Task.signed_by.is_not(None), Task.signed_by != alias)
    return (await tx.session.scalars(wanted.order_by(Task.id))).all()


async def _messages(tx: Tx, person: Person) -> Sequence[OutboxEntry]:
    wanted = select(OutboxEntry).where(OutboxEntry.recipient_id == person.id).order_by(OutboxEntry.id)
    return [one for one in await tx.session.scalars(wanted) if not outbox.is_anonymous(one)]


def _clear(person: Person) -> ColumnElement[bool]:
    """Select the events of before that name the person in clear."""
    values = [one for one in (person.handle, person.name, person.email, person.phone) if one]
    named = (AuditEvent.body.contains(json.dumps(one, ensure_ascii=False), autoescape=True) for one in values)
    return (AuditEvent.schema_v < _COMMITTED_SINCE) & or_(*named)


async def _number(tx: Tx, column: object, condition: ColumnElement[bool]) -> int:
    return await tx.session.scalar(select(func.count(column)).where(condition)) or 0  # type: ignore[arg-type]
