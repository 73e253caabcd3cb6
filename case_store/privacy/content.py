"""Erase what people wrote and what came in: one thing in a case, or everything in a case that ended long ago."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update

from case_store import find, texts
from case_store.actor import Actor
from case_store.audit.commitments import pseudonym
from case_store.holds import hold
from case_store.lifecycle import NotAllowedNow
from case_store.models import (
    Alert,
    Base,
    Case,
    Deadline,
    Evidence,
    Execution,
    Note,
    NoteRevision,
    Observable,
    OutboxEntry,
    Question,
    Task,
)
from case_store.privacy import erasing
from case_store.privacy.refusals import Held
from case_store.refusals import NotFound
from case_store.store import Tx
from case_store.wording import case_label

_Content = Task | Deadline | Execution | Alert | Observable | Evidence | Note
_Row = Case | _Content

CONTENT: Final[tuple[type[_Content], ...]] = (Task, Deadline, Execution, Alert, Observable, Evidence, Note)
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
            return await erase_rows(tx, case, [row], Erasure(ground, ticket, by, at))
    raise NotFound(
        f"{case_label(case)} has nothing with the id {row_id[:80]!r}",
        next_step=f"the ids are in: casewright case show {case.number} --json",
    )


async def due(tx: Tx, before: datetime) -> Sequence[Case]:
    """Return the cases that ended before this time and still have personal values; held ones among them."""
    ended = (Case.state != "open") & (Case.closed_at < before)
    found = await tx.session.scalars(select(Case).where(ended).order_by(Case.number))
    return [case for case in found if case.title != pseudonym(case.id)]


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
    tasks = select(Task.id).where(Task.case_id == case.id)
    await tx.session.execute(update(Question).where(Question.task_id.in_(tasks)).values(reason=None, refusal=None))
    await tx.session.execute(update(OutboxEntry).where(OutboxEntry.case_id == case.id).values(context={}))
    return await erase_rows(tx, case, rows, Erasure(ground, ticket, by, at))


async def _locked(tx: Tx, case: Case) -> Case:
    await hold(tx, erasing.LOCK)
    case = await find.case(tx, case.id, lock=True)
    if case.legal_hold is not None:
        raise Held(f"{case_label(case)} is under a legal hold: {case.legal_hold}")
    return case


async def erase_rows(tx: Tx, case: Case, rows: Sequence[_Row], erasure: Erasure) -> ErasedContent:
    """Erase what is personal in some rows of a case that the caller has locked."""
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
