"""Erase what people wrote and what came in: one thing in a case, all of an ended case, an alert that has no case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, or_, select, update

from case_store import find, texts
from case_store.actor import Actor
from case_store.audit.commitments import pseudonym
from case_store.holds import hold
from case_store.lifecycle import NotAllowedNow
from case_store.models import (
    Alert,
    AnswerLink,
    Approval,
    AuditEvent,
    AuditPrivate,
    Base,
    Case,
    Deadline,
    Evidence,
    Execution,
    Note,
    NoteRevision,
    Observable,
    OutboxEntry,
    Person,
    Question,
    Task,
)
from case_store.privacy import erasing
from case_store.privacy.refusals import Held
from case_store.refusals import AlertHasCase, NotFound
from case_store.store import Tx
from case_store.wording import case_label

_Content = Task | Approval | AnswerLink | Deadline | Execution | Alert | Observable | Evidence | Note
_Row = Case | _Content

CONTENT: Final[tuple[type[_Content], ...]] = (
    Task,
    Approval,
    AnswerLink,
    Deadline,
    Execution,
    Alert,
    Observable,
    Evidence,
    Note,
)
_OF_TASKS: Final[tuple[type[Approval | AnswerLink], ...]] = (Approval, AnswerLink)
"""What holds digests of a task's parameters, and goes with it."""
_WORDINGS: Final = Base.metadata.tables[NoteRevision.__tablename__]


@dataclass(frozen=True, slots=True)
class ErasedContent:
    """What was erased: the number of rows and of disclosed values; and the files of evidence that nobody needs now.

    The files are deleted once the transaction is through (`Blobs.forget`): whoever is interrupted between deletes them
    with the next erasure of the case.
    """

    rows: int
    disclosures: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Erasure:
    """On what ground, by whom and when."""

    basis: str
    ticket: str | None
    by: Actor
    at: datetime


async def redact(
    tx: Tx, case: Case, row_id: str, *, basis: str, ticket: str | None = None, by: Actor, at: datetime
) -> ErasedContent:
    """Erase what is personal in one thing of a case: a note, a task, an alert, evidence, an observable, an execution.

    With a task goes what was approved in it and asked about it.

    Raises:
        Held: A legal hold keeps the case.
        NotFound: The case has no such thing.
        TextRequired: There is no basis.
    """
    ground = texts.words(basis, "the basis")
    case = await _locked(tx, case)
    for kind in CONTENT:
        row: Any = await tx.session.get(kind, row_id, populate_existing=True)
        if row is not None and row.case_id == case.id:
            rows = [row, *(await _with_tasks(tx, [row.id]) if kind is Task else ())]
            return await erase_rows(tx, case, rows, Erasure(ground, ticket, by, at))
    raise NotFound(
        f"{case_label(case)} has nothing with the id {row_id[:80]!r}",
        next_step=f"the ids are in: casewright case show {case.number} --json",
    )


async def due(tx: Tx, before: datetime) -> Sequence[Case]:
    """Return the cases that ended before this time and still have personal values; held ones among them.

    Those of which nothing was erased yet, and those to which something came after that.
    """
    told = AuditEvent.stream == "case/" + Case.id
    ended = (Case.state != "open") & (Case.closed_at < before)
    wanted = select(Case, _disclosed(told).label("more")).where(ended).order_by(Case.number)
    found = await tx.session.execute(wanted)
    return [case for case, more in found if more or case.title != pseudonym(case.id)]


async def due_alerts(tx: Tx, before: datetime) -> Sequence[Alert]:
    """Return the alerts that came in before this time, belong to no case, and still have personal values."""
    of_evidence = select(Evidence.id).where(Evidence.alert_id == Alert.id, Evidence.case_id.is_(None)).correlate(Alert)
    about = or_(AuditPrivate.about_id == Alert.id, AuditPrivate.about_id.in_(of_evidence))
    wanted = select(Alert, _disclosed(about).label("more")).where(Alert.case_id.is_(None), Alert.received_at < before)
    found = await tx.session.execute(wanted.order_by(Alert.received_at, Alert.id))
    return [alert for alert, more in found if more or alert.title != pseudonym(alert.id)]


def _disclosed(which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Say whether anything is disclosed in these events, other than who somebody is: that goes with the person."""
    joined = select(AuditPrivate.pointer).join(AuditEvent, AuditEvent.event_id == AuditPrivate.event_id)
    return joined.where(which, AuditPrivate.about_type != Person.entity_type).correlate(Case, Alert).exists()


async def erase_case(
    tx: Tx, case: Case, *, basis: str, ticket: str | None = None, by: Actor, at: datetime
) -> ErasedContent:
    """Erase everything personal in a case that has ended; who did what stays on record, as long as they do.

    Raises:
        Held: A legal hold keeps the case.
        NotAllowedNow: It is open.
        TextRequired: There is no basis.
    """
    ground = texts.words(basis, "the basis")
    case = await _locked(tx, case)
    if case.state == "open":
        raise NotAllowedNow(f"{case_label(case)} is open", next_step="only cases that have ended are erased whole")
    rows: list[_Row] = [case]
    for kind in CONTENT:
        of_case = select(kind).where(kind.case_id == case.id).order_by(kind.id)
        rows += await tx.session.scalars(of_case.execution_options(populate_existing=True))
    await tx.session.execute(update(OutboxEntry).where(OutboxEntry.case_id == case.id).values(context={}))
    return await erase_rows(tx, case, rows, Erasure(ground, ticket, by, at))


async def erase_alert(
    tx: Tx, alert: Alert, *, basis: str, ticket: str | None = None, by: Actor, at: datetime
) -> ErasedContent:
    """Erase everything personal in an alert that belongs to no case, with its bytes; it is still known when it repeats.

    Raises:
        AlertHasCase: It belongs to one by now: it goes with that.
        TextRequired: There is no basis.
    """
    ground = texts.words(basis, "the basis")
    await hold(tx, erasing.LOCK)
    alert = await find.alert(tx, alert.id, lock=True)
    if alert.case_id is not None:
        case = await find.case(tx, alert.case_id)
        step = f"erase it there: casewright case redact {case.number} {alert.id}"
        raise AlertHasCase(f"the alert belongs to {case_label(case)}", next_step=step)
    of_alert = select(Evidence).where(Evidence.alert_id == alert.id).order_by(Evidence.id)
    kept = await tx.session.scalars(of_alert.execution_options(populate_existing=True))
    return await erase_rows(tx, None, [alert, *kept], Erasure(ground, ticket, by, at))


async def _with_tasks(tx: Tx, tasks: Sequence[str]) -> list[_Row]:
    found: list[_Row] = []
    for kind in _OF_TASKS:
        of_tasks = select(kind).where(kind.task_id.in_(tasks)).order_by(kind.id)
        found += await tx.session.scalars(of_tasks.execution_options(populate_existing=True))
    return found


async def _locked(tx: Tx, case: Case) -> Case:
    await hold(tx, erasing.LOCK)
    case = await find.case(tx, case.id, lock=True)
    if case.legal_hold is not None:
        raise Held(f"{case_label(case)} is under a legal hold: {case.legal_hold}")
    return case


async def erase_rows(tx: Tx, case: Case | None, rows: Sequence[_Row], erasure: Erasure) -> ErasedContent:
    """Erase what is personal in some rows of a case that the caller has locked, or of none."""
    by_type: dict[str, list[_Row]] = defaultdict(list)
    changed, disclosures = 0, 0
    for row in rows:
        by_type[row.entity_type].append(row)
    for entity_type, some in by_type.items():
        found = await erasing.disclosed(tx, entity_type, [row.id for row in some])
        for row in some:
            pointers, number = sorted(found.get(row.id, ())), sum(found.get(row.id, {}).values())
            if erasing.overwrite(row) or number:
                changed, disclosures = changed + 1, disclosures + number
                facts = {"basis": erasure.basis, "ticket": erasure.ticket, "disclosures": number, "pointers": pointers}
                if isinstance(row, Evidence):
                    facts["sha256"] = row.sha256
                tx.record("privacy.erased", row, by=erasure.by, at=erasure.at, case=case, facts=facts)
        await erasing.forget(tx, entity_type, [row.id for row in some])
    await _reword(tx, [row for row in rows if isinstance(row, Note)])
    of_tasks = Question.task_id.in_([row.id for row in rows if isinstance(row, Task)])
    emptied = {"reason": None, "refusal": None, "parameters_sha256": None}
    await tx.session.execute(update(Question).where(of_tasks).values(emptied))
    files = await _unneeded(tx, [row.sha256 for row in rows if isinstance(row, Evidence)])
    return ErasedContent(changed, disclosures, files)


async def _reword(tx: Tx, notes: Sequence[Note]) -> None:
    """Overwrite all wordings of notes; around the session, which knows no changes of rows that are written once."""
    connection = await tx.session.connection()
    for note in notes:
        overwritten = update(_WORDINGS).where(_WORDINGS.c.note_id == note.id, _WORDINGS.c.body != note.body)
        await connection.execute(overwritten.values(body=note.body))


async def _unneeded(tx: Tx, digests: Sequence[str]) -> tuple[str, ...]:
    """Return the files that no evidence needs which is not erased."""
    found = await tx.session.scalars(select(Evidence).where(Evidence.sha256.in_(digests)))
    needed = {one.sha256 for one in found if one.name != pseudonym(one.id)}
    return tuple(sorted(set(digests) - needed))
