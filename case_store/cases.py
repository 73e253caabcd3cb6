"""Open a case by an SOP, and change what is said about it. How a case ends is in `endings`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from case_store import clocks, deadlines, find, pausing, signals, sla, sops, texts
from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.endings import cancel, close, complete, reopen
from case_store.holds import hold
from case_store.lifecycle import NotAllowedNow
from case_store.models import (
    Alert,
    Case,
    CaseRun,
    Counter,
    Evidence,
    IdempotencyKey,
    Person,
    Severity,
    Stage,
    Task,
)
from case_store.refusals import AlertHasCase, NotFound
from case_store.store import Tx
from case_store.wording import case_label
from sop.loader import LoadedSop
from sop.model import Sop
from sop.model import Task as SopTask
from sop.owners import parse_owner

__all__ = ["cancel", "close", "complete", "edit", "open_case", "reopen", "set_severity"]

_NUMBERS = "case numbers"


async def open_case(
    tx: Tx,
    sop: LoadedSop,
    title: str,
    severity: Severity | None = None,
    *,
    alert: Alert | None = None,
    owner: Person | None = None,
    idempotency_key: str | None = None,
    by: Actor,
    at: datetime,
) -> Case:
    """Open a case: pin its SOP, plan all its stages and tasks, and tell the engine.

    Args:
        tx: The transaction.
        sop: What the case runs by, as it is now.
        title: One line for people.
        severity: Given by a person; else the alert's, else the SOP's.
        alert: The alert it is about; its evidence becomes the case's first.
        owner: The case's owner; else whoever the SOP says.
        idempotency_key: The same key again gives the first case back.
        by: Who opens it.
        at: Now.

    Raises:
        AlertHasCase: The alert already belongs to a case.
        NotFound: The SOP gives its cases to somebody who is not on record.
    """
    # The alert first, then the numbers: whoever takes an alert in and opens its case locks them in this order too.
    alert = await find.alert(tx, alert.id, lock=True) if alert is not None else None
    await hold(tx, _NUMBERS)
    if idempotency_key is not None and (first := await tx.session.get(IdempotencyKey, idempotency_key)) is not None:
        return await find.case(tx, first.entity_id)
    if alert is not None:
        await _refuse_taken(tx, alert)
    case = Case(
        number=await _next_number(tx),
        title=texts.title(title),
        severity=severity or (alert.severity if alert else sop.sop.severity),
        sop_key=sop.sop.key,
        sop_version=sop.sop.version,
        sop_digest=(await sops.pin(tx, sop, by=by, at=at)).digest,
        opened_at=at,
        opened_by=str(by),
    )
    await _give(tx, case, owner, sop.sop)
    clocks.start(case, clocks.Times(case, sop.sop, sla.calendar(tx, case, sop.sop), case.severity), at)
    tx.session.add_all([case, CaseRun(case_id=case.id, generation=1, signal_at=at)])
    if idempotency_key is not None:
        tx.session.add(IdempotencyKey(key=idempotency_key, entity_type=Case.entity_type, entity_id=case.id))
    tx.record("case.opened", case, by=by, at=at, facts={"alert_id": alert.id} if alert else None)
    _plan(tx, case, sop.sop, by=by, at=at)
    deadlines.begin_all(tx, case, sop.sop, by=by, at=at)
    if alert is not None:
        await _link(tx, case, alert, by=by, at=at)
    await tx.flush()
    return case


async def edit(
    tx: Tx,
    case: Case,
    *,
    title: str | None = None,
    severity: Severity | None = None,
    owner: Person | None = None,
    by: Actor,
    at: datetime,
) -> Case:
    """Change what is said about an open case; what is None, or as it was, stays.

    Raises:
        NotAllowedNow: The case is closed or cancelled.
    """
    case = await find.case(tx, case.id, lock=True)
    if case.state != "open":
        raise NotAllowedNow(f"{case_label(case)} is {case.state}", next_step="re-open it first, with a reason")
    before, old = (case.title, case.severity, case.owner_id), await clocks.Times.of(tx, case)
    case.title = case.title if title is None else texts.title(title)
    case.severity = severity or case.severity
    case.owner_id = owner.id if owner else case.owner_id
    if (case.title, case.severity, case.owner_id) != before:
        new = await clocks.Times.of(tx, case)
        if case.severity != before[1]:
            clocks.change(case, old, new, at)
        tx.record("case.edited", case, by=by, at=at)
        if case.severity != before[1]:
            await pausing.reschedule(tx, case, "severity", lambda row: clocks.change(row, old, new, at), by=by, at=at)
        await tx.flush()
        await signals.raise_(tx, case, at)
    return case


async def set_severity(tx: Tx, case: Case, severity: Severity, *, by: Actor, at: datetime) -> Case:
    """Change the severity of an open case."""
    return await edit(tx, case, severity=severity, by=by, at=at)


async def _next_number(tx: Tx) -> int:
    # Two cases cannot read the same number: whoever opens one holds the case numbers.
    counter = await tx.session.get(Counter, _NUMBERS, populate_existing=True)
    if counter is None:
        counter = Counter(name=_NUMBERS)
        tx.session.add(counter)
    counter.value += 1
    return counter.value


async def _give(tx: Tx, case: Case, owner: Person | None, sop: Sop) -> None:
    rule = parse_owner(sop.owner)
    if owner is not None:
        case.owner_id = owner.id
    elif rule.kind == "role":
        case.owner_role = rule.name
    else:
        person = await tx.session.scalar(select(Person).where(Person.handle == rule.name))
        if person is None:
            raise NotFound(
                f"the SOP {sop.key!r} gives its cases to {rule.name}, who is not on record",
                next_step="import that person, or name an owner: casewright people import FILE",
            )
        case.owner_id = person.id


def _plan(tx: Tx, case: Case, sop: Sop, *, by: Actor, at: datetime) -> None:
    position = 0
    for number, planned in enumerate(sop.stages, 1):
        stage = Stage(case_id=case.id, key=planned.key, title=planned.title, position=number)
        tx.session.add(stage)
        tx.record("stage.planned", stage, by=by, at=at)
        for one in planned.tasks:
            position += 1
            task = _planned_task(case, stage, one, position)
            tx.session.add(task)
            tx.record("task.planned", task, by=by, at=at)


def _planned_task(case: Case, stage: Stage, planned: SopTask, position: int) -> Task:
    return Task(
        case_id=case.id,
        stage_id=stage.id,
        key=planned.key,
        title=planned.title,
        kind=planned.kind,
        position=position,
        # An approval belongs to those who may give it; it has no use in other hands.
        owner_rule=planned.approval.from_ if planned.approval else planned.owner,
        mandatory=planned.mandatory,
        note_required=planned.note_required,
    )


async def _refuse_taken(tx: Tx, alert: Alert) -> None:
    if alert.case_id is not None:
        case = await find.case(tx, alert.case_id)
        raise AlertHasCase(
            f"the alert {alert.source} {alert.source_ref} already belongs to {case_label(case)}",
            next_step=f"go on there: casewright case show {case.number}",
        )


async def _link(tx: Tx, case: Case, alert: Alert, *, by: Actor, at: datetime) -> None:
    alert.case_id = case.id
    tx.record("alert.linked", alert, by=by, at=at, case=case)
    of_alert = select(Evidence).where(Evidence.alert_id == alert.id, Evidence.case_id.is_(None))
    for evidence in await tx.session.scalars(of_alert):
        evidence.case_id = case.id
        facts = {"name": personal(evidence, evidence.name), "sha256": evidence.sha256}
        tx.record("evidence.linked", evidence, by=by, at=at, case=case, facts=facts)
