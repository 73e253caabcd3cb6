"""Four eyes: who may approve, how many must, and of exactly which parameters each of them approved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from sqlalchemy import func, or_, select

from case_store import codes, find, notices, scope, signals, sops
from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.lifecycle import NotAllowedNow
from case_store.models import Approval, Case, JsonMap, Person, Task
from case_store.moves import move_task
from case_store.refusals import AlreadyApproved, FourEyes, ParametersChanged, WrongKind
from case_store.store import Tx
from case_store.tasks.ownership import approval_of, recipients, refuse_requester, refuse_stranger
from case_store.wording import task_label
from sop import conditions, model
from sop.errors import ConditionFailed

BY_LINK: Final = "link"
"""The channel of decisions about which the signer did not log in: they are always signed with a code."""


def parameters_sha256(parameters: JsonMap | None) -> str:
    """Return the SHA-256, in hexadecimal, of parameters as JSON with sorted keys and without blanks; None is `null`."""
    exact = json.dumps(parameters, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(exact.encode()).hexdigest()


async def given(tx: Tx, task: Task) -> Sequence[Approval]:
    """Return the approvals that count: of the parameters as they are now, the first first."""
    wanted = select(Approval).where(
        Approval.task_id == task.id,
        Approval.voided_at.is_(None),
        Approval.parameters_sha256 == parameters_sha256(task.parameters),
    )
    return (await tx.session.scalars(wanted.order_by(Approval.given_at, Approval.id))).all()


async def give(
    tx: Tx,
    case: Case,
    task: Task,
    rule: model.Approval,
    signer: Person,
    *,
    via: str,
    by: Actor,
    at: datetime,
) -> bool:
    """Put one person's approval on record; True when it is the last one that was needed.

    Raises:
        AlreadyApproved: That person has approved these parameters.
        CodeRequired: The SOP wants a code, and none was verified.
    """
    so_far = await given(tx, task)
    if any(one.person_id == signer.id for one in so_far):
        raise AlreadyApproved(f"{signer.handle} has approved {task_label(case, task)} already")
    number = await _round(tx, task)
    proof = await proof_of(tx, task, rule, signer, via=via, at=at)
    approval = Approval(
        case_id=case.id,
        task_id=task.id,
        person_id=signer.id,
        round=number,
        parameters_sha256=parameters_sha256(task.parameters),
        given_at=at,
        given_via=via,
    )
    tx.session.add(approval)
    who = personal(signer, signer.handle)
    facts = {"who": who, "number": len(so_far) + 1, "needed": rule.needed, **proof}
    tx.record("approval.given", approval, by=by, at=at, facts=facts)
    await tx.flush()
    return len(so_far) + 1 >= rule.needed


async def proof_of(
    tx: Tx, task: Task, rule: model.Approval, signer: Person, *, via: str, at: datetime
) -> dict[str, object]:
    """Use the signer's code, once, where the SOP or the way wants one; returns what the decision's event says of it.

    Record that event before anything is flushed.

    Raises:
        CodeRequired: None was verified.
    """
    if not rule.sign_off_code and via != BY_LINK:
        return {}
    code = await codes.verified(tx, task, signer, at=at)
    codes.use(code, at=at)
    return {"code_id": code.id, "verified_by": code.channel, "name": personal(signer, signer.name)}


def refuse_unseen(case: Case, task: Task, seen: str | None) -> None:
    """Refuse a decision about other parameters than those that are there now; None: the signer sees those.

    Raises:
        ParametersChanged: They are others.
    """
    if seen is not None and seen != parameters_sha256(task.parameters):
        raise ParametersChanged(f"the parameters of {task_label(case, task)} are no longer those that you saw")


async def refuse_who_may_not(tx: Tx, case: Case, task: Task, signer: Person) -> model.Approval:
    """Refuse everybody but those who may decide an approval; returns what the SOP says about it.

    Raises:
        FourEyes: The signer opened the case or did the work, and the SOP wants somebody else.
        NotApprover: The SOP does not name the signer.
        PersonInactive: The signer no longer works on cases.
        WrongKind: It is no approval.
    """
    if task.kind != "approval":
        raise WrongKind(f"{task_label(case, task)} asks for no approval", next_step="complete or skip it")
    await refuse_stranger(tx, case, task, signer)
    await refuse_requester(tx, case, task, signer)
    await refuse_executor(tx, case, task, signer)
    return await approval_of(tx, case, task)


async def refuse_without_code(tx: Tx, task: Task, signer: Person) -> None:
    """Refuse to send a code to somebody who may not sign with one.

    Raises:
        StoreError: They may not decide it; see `refuse_who_may_not`.
        WrongKind: It is not signed with a code.
    """
    case, task = await find.locked(tx, task)
    if not (await refuse_who_may_not(tx, case, task, signer)).sign_off_code:
        step = "decide it without one: its SOP does not say sign_off_code"
        raise WrongKind(f"{task_label(case, task)} is not signed with a code", next_step=step)


async def refuse_executor(tx: Tx, case: Case, task: Task, signer: Person) -> None:
    """Refuse to let somebody approve what they did themselves, where the SOP wants somebody else.

    Raises:
        FourEyes: The signer did a task that this one depends on.
    """
    if not (await approval_of(tx, case, task)).not_executor:
        return
    keys = (await sops.pinned(tx, case)).sop.task(task.key).depends_on
    done = select(Task.key).where(Task.case_id == case.id, Task.key.in_(keys), Task.closed_by_id == signer.id)
    key = await tx.session.scalar(done.limit(1))
    if key is not None:
        raise FourEyes(f"{signer.handle} did task '{key}' and so may not decide {task_label(case, task)}")


async def refuse_approver(tx: Tx, case: Case, task: Task, signer: Person) -> None:
    """Refuse to let somebody carry out what they approved themselves, where the SOP wants somebody else.

    That is the action of an approval, done by hand, and each task that depends on the approval.

    Raises:
        FourEyes: The signer approved it.
    """
    pinned = (await sops.pinned(tx, case)).sop
    keys = {task.key, *pinned.task(task.key).depends_on}
    strict = [key for key in keys if (rule := pinned.task(key).approval) is not None and rule.not_executor]
    if not strict:
        return
    wanted = (
        select(Task.key)
        .join(Approval, Approval.task_id == Task.id)
        .where(Task.case_id == case.id, Task.key.in_(strict))
        .where(Approval.person_id == signer.id, Approval.voided_at.is_(None))
    )
    key = await tx.session.scalar(wanted.limit(1))
    if key is not None:
        label = task_label(case, task)
        step = "ask somebody who did not approve it to do it"
        raise FourEyes(f"{signer.handle} approved '{key}' and so may not carry out {label}", next_step=step)


async def renew(tx: Tx, task: Task, *, by: Actor, at: datetime) -> bool:
    """Determine the parameters of an approval from the case as it is now; False when they are the same.

    If they are others, approvals and codes are void, those who may approve are told, and it is asked again.

    Args:
        tx: The transaction.
        task: The approval; it waits for people, or its action has not begun.
        by: Who wants it.
        at: Now.

    Raises:
        WrongKind: It is no approval of an action.
        NotAllowedNow: It has not been asked, or its action has begun.
    """
    case, task = await find.locked(tx, task)
    wanted = (await sops.pinned(tx, case)).sop.task(task.key)
    if wanted.approval is None or wanted.action is None:
        step = "only an approval with an action has parameters that are approved"
        raise WrongKind(f"{task_label(case, task)} asks for no approval of an action", next_step=step)
    approved = task.state == "waiting" and task.decision == "approved"
    if task.state != "open" and not approved:
        raise NotAllowedNow(f"{task_label(case, task)} is {task.state}")
    parameters = parameters_of(wanted, await scope.of_case(tx, case))
    if parameters_sha256(parameters) == parameters_sha256(task.parameters):
        return False
    await void(tx, task, by=by, at=at)
    await tx.flush()
    if approved:
        move_task(case, task, "open")
        task.decision = task.signed_by = task.decided_at = task.decided_via = None
    task.parameters = parameters
    digest = personal(task, parameters_sha256(parameters))
    tx.record("task.parameters_changed", task, by=by, at=at, facts={"sha256": digest})
    await tx.flush()
    await notices.assigned(tx, task, await recipients(tx, task), at)
    await signals.raise_(tx, case, at)
    return True


async def void(tx: Tx, task: Task, *, by: Actor, at: datetime) -> None:
    """End the approvals and codes of a task; the caller records and flushes why they are for something else."""
    counting = select(Approval).where(Approval.task_id == task.id, Approval.voided_at.is_(None))
    for approval in await tx.session.scalars(counting):
        approval.voided_at = at
        tx.record("approval.voided", approval, by=by, at=at)
    await codes.void(tx, task, at=at)


def parameters_of(wanted: model.Task, known: conditions.Scope) -> JsonMap | None:
    """Return what an approved action will run with; None without an action, or where a value is missing."""
    if wanted.action is None:
        return None
    try:
        return dict(conditions.parameters(wanted.with_, known))
    except ConditionFailed:
        return None


async def as_approved(tx: Tx, task: Task, needed: int) -> bool:
    """Tell whether as many as needed approved exactly these parameters.

    What was approved before approvals had rows of their own is believed.
    """
    ever = await tx.session.scalar(select(func.count(Approval.id)).where(Approval.task_id == task.id))
    return not ever or len(await given(tx, task)) >= needed


async def _round(tx: Tx, task: Task) -> int:
    others = or_(Approval.voided_at.is_not(None), Approval.parameters_sha256 != parameters_sha256(task.parameters))
    of_before = select(func.max(Approval.round)).where(Approval.task_id == task.id, others)
    last: int | None = await tx.session.scalar(of_before)
    return (last or 0) + 1
