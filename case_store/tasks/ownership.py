"""Whose task it is, and how that changes: by rule, by hand, or by taking it over. Each change is on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from case_store import clocks, find, notices, sops
from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.models import Case, Person, Task
from case_store.refusals import FourEyes, NotApprover, NotFound, NotYours, PersonInactive
from case_store.store import Tx
from case_store.tasks.guards import refuse_closed
from case_store.wording import task_label
from sop.model import Approval
from sop.owners import parse_owner


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner a rule stands for: a person, or whoever has the role."""

    person_id: str | None = None
    role: str | None = None


async def resolve(tx: Tx, case: Case, rule: str) -> Owner:
    """Return whom an owner rule stands for in this case; a handle nobody has falls back to the owner of the case."""
    owner = parse_owner(rule)
    if owner.kind == "role":
        return Owner(role=owner.name)
    if owner.kind == "user":
        person = await tx.session.scalar(select(Person).where(Person.handle == owner.name))
        if person is not None:
            return Owner(person_id=person.id)
    return Owner(case.owner_id, case.owner_role)


async def recipients(tx: Tx, task: Task) -> list[Person]:
    """Return who should hear about a task: its owner, or every active person with the role it belongs to."""
    if task.owner_id is not None:
        owner = await tx.session.get(Person, task.owner_id)
        return [owner] if owner is not None and owner.active else []
    return await find.people_with_role(tx, task.owner_role) if task.owner_role else []


async def reassign(tx: Tx, task: Task, to: Person, *, by: Actor, at: datetime) -> Task:
    """Give a task to somebody, who is told.

    Raises:
        AlreadyDecided: It is closed.
        PersonInactive: That person no longer works on cases.
        NotApprover: It is an approval, and that person may not approve.
    """
    case, task = await find.locked(tx, task)
    refuse_closed(case, task)
    await refuse_stranger(tx, case, task, to)
    if task.owner_id == to.id:
        return task
    task.owner_id = to.id
    clocks.hand_over(task, await clocks.Times.of(tx, case), at)
    tx.record("task.reassigned", task, by=by, at=at, facts={"to": personal(to, to.handle)})
    await tx.flush()
    if task.state != "waiting":
        await notices.assigned(tx, task, [to], at)
    return task


async def take_over(tx: Tx, task: Task, *, by_person: Person, by: Actor, at: datetime) -> Task:
    """Make the task somebody's who was not its owner.

    Raises:
        AlreadyDecided: It is closed.
        PersonInactive: That person no longer works on cases.
        NotApprover: It is an approval, and that person may not approve.
    """
    case, task = await find.locked(tx, task)
    refuse_closed(case, task)
    await refuse_stranger(tx, case, task, by_person)
    if task.owner_id != by_person.id:
        await _taken_over(tx, task, by_person, by=by, at=at)
    return task


async def become_owner(
    tx: Tx, case: Case, task: Task, signer: Person, *, take_over: bool, by: Actor, at: datetime
) -> None:
    """Let the signer decide: as the owner, as one who has the role it belongs to, or by taking it over.

    Raises:
        NotYours: The signer is none of these, and takes nothing over.
    """
    if task.owner_id == signer.id:
        return
    if task.owner_id is None and task.owner_role in signer.roles:
        task.owner_id = signer.id
        tx.record(
            "task.assigned", task, by=by, at=at, facts={"to": personal(signer, signer.handle), "role": task.owner_role}
        )
        await tx.flush()
        return
    if not take_over:
        raise NotYours(f"{task_label(case, task)} belongs to {await _owner_name(tx, task)}, not to {signer.handle}")
    await _taken_over(tx, task, signer, by=by, at=at)


async def refuse_stranger(tx: Tx, case: Case, task: Task, person: Person) -> None:
    """Refuse somebody to whom the task cannot belong, however it is handed over.

    Raises:
        PersonInactive: That person no longer works on cases.
        NotApprover: It is an approval, and the SOP does not name that person.
    """
    if not person.active:
        raise PersonInactive(f"{person.handle} is not active")
    if task.kind == "approval":
        await _refuse_no_approver(tx, case, task, person)


async def refuse_requester(tx: Tx, case: Case, task: Task, signer: Person) -> None:
    """Refuse to let somebody approve what they asked for themselves, where the SOP wants four eyes.

    Raises:
        FourEyes: The signer opened the case.
    """
    approval = await approval_of(tx, case, task)
    if approval.not_requester and case.opened_by == str(Actor.person(signer)):
        raise FourEyes(f"{signer.handle} opened the case and so may not decide {task_label(case, task)}")


async def _refuse_no_approver(tx: Tx, case: Case, task: Task, person: Person) -> None:
    approval = await approval_of(tx, case, task)
    rule = parse_owner(approval.from_)
    named = rule.name == person.handle if rule.kind == "user" else rule.name in person.roles
    if not named:
        raise NotApprover(f"{task_label(case, task)} is decided by {approval.from_}, which {person.handle} is not")


async def approval_of(tx: Tx, case: Case, task: Task) -> Approval:
    """Return what the SOP says about an approval.

    Raises:
        NotFound: It says nothing.
    """
    approval = (await sops.pinned(tx, case)).sop.task(task.key).approval
    if approval is None:
        raise NotFound(f"the SOP says nothing about an approval of {task_label(case, task)}")
    return approval


async def _taken_over(tx: Tx, task: Task, person: Person, *, by: Actor, at: datetime) -> None:
    owner = await tx.session.get(Person, task.owner_id) if task.owner_id else None
    facts = {
        "by": personal(person, person.handle),
        "from": personal(owner, owner.handle) if owner else await _owner_name(tx, task),
    }
    task.owner_id = person.id
    clocks.hand_over(task, await clocks.Times.of(tx, await find.case(tx, task.case_id)), at)
    tx.record("task.taken_over", task, by=by, at=at, facts=facts)
    await tx.flush()


async def _owner_name(tx: Tx, task: Task) -> str:
    if task.owner_id is not None:
        owner = await tx.session.get(Person, task.owner_id)
        return owner.handle if owner is not None else task.owner_id
    return f"role {task.owner_role}" if task.owner_role else "nobody"
