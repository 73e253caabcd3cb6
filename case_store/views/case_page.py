"""Everything on record about one case, as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from case_store import find
from case_store.actor import Actor
from case_store.models import Alert, Approval, Case, Evidence, JsonMap, Note, Observable, Person, Stage, Task
from case_store.store import Tx
from case_store.views.lists import AlertRow, CaseRow, alert_rows, case_row, case_rows, owner_name
from case_store.views.times import CaseTimes, case_times


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A task on its case's page; `owner` is a handle, or `role:ROLE` while nobody of that role has taken it."""

    id: str
    key: str
    title: str
    kind: str
    state: str
    owner: str | None
    mandatory: bool
    attempt: int
    due_at: datetime | None
    opened_at: datetime | None
    closed_at: datetime | None
    overdue: bool
    acknowledged_at: datetime | None
    paused_at: datetime | None
    pause_reason: str | None
    decision: str | None
    signed_by: str | None
    decided_at: datetime | None
    decided_via: str | None
    form_values: JsonMap | None
    parameters: JsonMap | None
    result: JsonMap | None
    note: str | None
    reason: str | None
    approved_by: tuple[str, ...]
    """Handles of those whose approval counts, the first first."""


@dataclass(frozen=True, slots=True)
class StageEntry:
    """A stage on its case's page, with its tasks in the order of the SOP."""

    id: str
    key: str
    title: str
    state: str
    due_at: datetime | None
    started_at: datetime | None
    closed_at: datetime | None
    tasks: tuple[TaskEntry, ...]


@dataclass(frozen=True, slots=True)
class ObservableEntry:
    """An observable; `task` is the key of the task that found it."""

    type: str
    value: str
    task: str | None
    added_at: datetime


@dataclass(frozen=True, slots=True)
class EvidenceEntry:
    """A piece of evidence; `task` is the key of the task it belongs to."""

    id: str
    name: str
    sha256: str
    size: int
    media_type: str
    claimed_type: str | None
    task: str | None
    added_at: datetime
    added_by: str


@dataclass(frozen=True, slots=True)
class NoteEntry:
    """A note in its newest wording; `task` is the key of the task it is about."""

    id: str
    author: str
    body: str
    task: str | None
    revision: int
    written_at: datetime
    revised_at: datetime | None


@dataclass(frozen=True, slots=True)
class CasePage:
    """A case with all that belongs to it."""

    case: CaseRow
    sop_version: int
    sop_digest: str
    opened_by: str
    resolution: str | None
    stages: tuple[StageEntry, ...]
    alerts: tuple[AlertRow, ...]
    observables: tuple[ObservableEntry, ...]
    evidence: tuple[EvidenceEntry, ...]
    notes: tuple[NoteEntry, ...]
    times: CaseTimes


async def case(tx: Tx, number: int | str) -> CasePage:
    """Return the page of a case.

    Raises:
        NotFound: There is no such case.
    """
    found = await find.case(tx, number)
    row = (await tx.session.execute(case_rows().where(Case.id == found.id))).one()
    names = await actor_names(tx)
    keys = dict((await tx.session.execute(select(Task.id, Task.key).where(Task.case_id == found.id))).all())
    return CasePage(
        case=case_row(*row),
        sop_version=found.sop_version,
        sop_digest=found.sop_digest,
        opened_by=names.of(Actor.parse(found.opened_by)),
        resolution=found.resolution,
        stages=await _stages(tx, found),
        alerts=tuple(
            await alert_rows(
                tx, select(Alert, Case.number).where(Alert.case_id == found.id).order_by(Alert.received_at, Alert.id)
            )
        ),
        observables=await _observables(tx, found, keys),
        evidence=await _evidence(tx, found, keys, names),
        notes=await _notes(tx, found, keys, names),
        times=await case_times(tx, found),
    )


@dataclass(frozen=True, slots=True)
class ActorNames:
    """How pages call those who did something."""

    handles: dict[str, str]

    def of(self, actor: Actor) -> str:
        """Return a person's handle, the name of a part of the system, or "engine" for a run."""
        if actor.kind == "person":
            return self.handles.get(actor.id, actor.id)
        return "engine" if actor.kind == "run" else actor.id


async def actor_names(tx: Tx) -> ActorNames:
    """Return how pages call those who did something."""
    return ActorNames(dict((await tx.session.execute(select(Person.id, Person.handle))).all()))


async def _stages(tx: Tx, found: Case) -> tuple[StageEntry, ...]:
    tasks: dict[str, list[TaskEntry]] = {}
    wanted = (
        select(Task, Person.handle, Note.body)
        .outerjoin(Person, Person.id == Task.owner_id)
        .outerjoin(Note, Note.id == Task.note_id)
        .where(Task.case_id == found.id)
        .order_by(Task.position)
    )
    approvers = await _approvers(tx, found)
    for task, handle, note in await tx.session.execute(wanted):
        tasks.setdefault(task.stage_id, []).append(_task(task, handle, note, approvers.get(task.id, ())))
    stages = await tx.session.scalars(select(Stage).where(Stage.case_id == found.id).order_by(Stage.position))
    return tuple(
        StageEntry(
            id=stage.id,
            key=stage.key,
            title=stage.title,
            state=stage.state,
            due_at=stage.due_at,
            started_at=stage.started_at,
            closed_at=stage.closed_at,
            tasks=tuple(tasks.get(stage.id, ())),
        )
        for stage in stages
    )


async def _approvers(tx: Tx, found: Case) -> dict[str, tuple[str, ...]]:
    wanted = (
        select(Approval.task_id, Person.handle)
        .join(Person, Person.id == Approval.person_id)
        .where(Approval.case_id == found.id, Approval.voided_at.is_(None))
        .order_by(Approval.given_at, Approval.id)
    )
    handles: dict[str, tuple[str, ...]] = {}
    for task_id, handle in await tx.session.execute(wanted):
        handles[task_id] = (*handles.get(task_id, ()), handle)
    return handles


def _task(task: Task, handle: str | None, note: str | None, approved_by: tuple[str, ...]) -> TaskEntry:
    return TaskEntry(
        id=task.id,
        key=task.key,
        title=task.title,
        kind=task.kind,
        state=task.state,
        owner=owner_name(handle, task.owner_role),
        mandatory=task.mandatory,
        attempt=task.attempt,
        due_at=task.due_at,
        opened_at=task.opened_at,
        closed_at=task.closed_at,
        overdue=task.overdue_at is not None,
        acknowledged_at=task.acknowledged_at,
        paused_at=task.paused_at,
        pause_reason=task.pause_reason,
        decision=task.decision,
        signed_by=task.signed_by,
        decided_at=task.decided_at,
        decided_via=task.decided_via,
        form_values=task.form_values,
        parameters=task.parameters,
        result=task.result,
        note=note,
        reason=task.reason,
        approved_by=approved_by,
    )


async def _observables(tx: Tx, found: Case, keys: dict[str, str]) -> tuple[ObservableEntry, ...]:
    wanted = select(Observable).where(Observable.case_id == found.id).order_by(Observable.type, Observable.value)
    return tuple(
        ObservableEntry(one.type, one.value, keys.get(one.task_id or ""), one.added_at)
        for one in await tx.session.scalars(wanted)
    )


async def _evidence(tx: Tx, found: Case, keys: dict[str, str], names: ActorNames) -> tuple[EvidenceEntry, ...]:
    wanted = select(Evidence).where(Evidence.case_id == found.id).order_by(Evidence.added_at, Evidence.id)
    return tuple(
        EvidenceEntry(
            id=one.id,
            name=one.name,
            sha256=one.sha256,
            size=one.size,
            media_type=one.media_type,
            claimed_type=one.claimed_type,
            task=keys.get(one.task_id or ""),
            added_at=one.added_at,
            added_by=names.of(Actor.parse(one.added_by)),
        )
        for one in await tx.session.scalars(wanted)
    )


async def _notes(tx: Tx, found: Case, keys: dict[str, str], names: ActorNames) -> tuple[NoteEntry, ...]:
    wanted = select(Note).where(Note.case_id == found.id).order_by(Note.written_at, Note.id)
    return tuple(
        NoteEntry(
            id=one.id,
            author=names.of(Actor.parse(one.author)),
            body=one.body,
            task=keys.get(one.task_id or ""),
            revision=one.revision,
            written_at=one.written_at,
            revised_at=one.revised_at,
        )
        for one in await tx.session.scalars(wanted)
    )
