"""People decide. A decision changes the task, tells the engine, and is on record with who signed and through what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from case_store import deadlines, forms, lifecycle, notes, signals, sops, texts
from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.models import Case, Note, Person, Task, TaskState
from case_store.moves import move_task
from case_store.refusals import MandatoryTask, TextRequired, WrongKind
from case_store.store import Tx
from case_store.tasks import approvals
from case_store.tasks.guards import to_decide
from case_store.tasks.ownership import become_owner
from case_store.wording import task_label
from sop.model import Approval


async def complete(
    tx: Tx,
    task: Task,
    *,
    form_values: Mapping[str, object],
    note: str | None,
    take_over: bool = False,
    signed_by: Person,
    via: str,
    by: Actor,
    at: datetime,
) -> Task:
    """Close a task as done: a manual or form task, or an action that went wrong and was done by hand.

    Args:
        tx: The transaction.
        task: The task.
        form_values: The answers, by field; empty where the task has no form.
        note: A note; the SOP may demand one.
        take_over: The signer is not the owner and takes the task over first.
        signed_by: Who decides.
        via: The channel: "prefect", "cli" and so on.
        by: Who carries it out.
        at: Now.

    Raises:
        AlreadyDecided: Somebody was faster.
        NotYours: It belongs to somebody else.
        FormRefused: The answers do not fit the form.
        FourEyes: The signer approved it, and the SOP wants somebody else to carry it out.
        TextRequired: A note is needed.
        WrongKind: It is an approval: approve or reject it.
    """
    case, task = await to_decide(tx, task, signed_by)
    by_hand = task.state != "open"
    if task.kind == "approval" and not by_hand:
        raise WrongKind(f"{task_label(case, task)} asks for an approval", next_step="approve or reject it")
    form = (await sops.pinned(tx, case)).sop.task(task.key).form if task.kind == "form" else None
    answers = forms.read(form or {}, form_values)
    _refuse_without_note(case, task, note)
    await approvals.refuse_approver(tx, case, task, signed_by)
    await become_owner(tx, case, task, signed_by, take_over=take_over, by=by, at=at)
    written = await _noted(tx, case, task, note, signed_by, by=by, at=at)
    decision = "done_by_hand" if by_hand else "completed"
    if form is not None:
        task.form_values = dict(answers)
    _decide(task, "done", task.decision or decision, case, signed_by, via, at)
    event = "task.done_by_hand" if by_hand else "task.completed"
    await _record(tx, case, task, event, written, signed_by, via, by=by, at=at)
    return task


async def approve(
    tx: Tx,
    task: Task,
    *,
    note: str | None = None,
    take_over: bool = False,
    seen: str | None = None,
    signed_by: Person,
    via: str,
    by: Actor,
    at: datetime,
) -> Task:
    """Approve. With an action the task then waits for the engine to run it; without one it is done.

    Where the SOP needs several, the task stays open until the last of them approves.

    Args:
        tx: The transaction.
        task: The task.
        note: A note; the SOP may demand one.
        take_over: The signer is not the owner and takes the task over first.
        seen: SHA-256 of the parameters that the signer was shown; None when they are those of this moment.
        signed_by: Who approves.
        via: The channel: "prefect", "cli" and so on.
        by: Who carries it out.
        at: Now.

    Raises:
        AlreadyApproved: The signer has approved it, and somebody else must too.
        AlreadyDecided: Somebody was faster.
        CodeRequired: The SOP or the link wants a code to sign with, and none was verified.
        NotApprover: The SOP does not name the signer.
        FourEyes: The signer opened the case or did the work, and the SOP wants somebody else.
        ParametersChanged: They are not those that the signer saw.
        NotYours: It belongs to another approver.
        TextRequired: A note is needed.
        WrongKind: It is no approval.
    """
    case, task, rule = await _to_approve(tx, task, note, signed_by, seen, take_over=take_over, by=by, at=at)
    written = await _noted(tx, case, task, note, signed_by, by=by, at=at)
    if not await approvals.give(tx, case, task, rule, signed_by, via=via, by=by, at=at):
        await signals.raise_(tx, case, at)
        return task
    has_action = (await sops.pinned(tx, case)).sop.task(task.key).action is not None
    _decide(task, "waiting" if has_action else "done", "approved", case, signed_by, via, at)
    await _record(tx, case, task, "task.approved", written, signed_by, via, by=by, at=at)
    return task


async def reject(
    tx: Tx,
    task: Task,
    *,
    note: str | None = None,
    take_over: bool = False,
    seen: str | None = None,
    signed_by: Person,
    via: str,
    by: Actor,
    at: datetime,
) -> Task:
    """Reject what an approval asks for; its action will not run. One is enough, however many must approve.

    Raises:
        AlreadyDecided: Somebody was faster.
        CodeRequired: The SOP or the link wants a code to sign with, and none was verified.
        NotApprover: The SOP does not name the signer.
        FourEyes: The signer opened the case or did the work, and the SOP wants somebody else.
        ParametersChanged: They are not those that the signer saw.
        NotYours: It belongs to another approver.
        TextRequired: A note is needed.
        WrongKind: It is no approval.
    """
    case, task, rule = await _to_approve(tx, task, note, signed_by, seen, take_over=take_over, by=by, at=at)
    written = await _noted(tx, case, task, note, signed_by, by=by, at=at)
    proof = await approvals.proof_of(tx, task, rule, signed_by, via=via, at=at)
    _decide(task, "rejected", "rejected", case, signed_by, via, at)
    await _record(tx, case, task, "task.rejected", written, signed_by, via, by=by, at=at, **proof)
    return task


async def skip(
    tx: Tx,
    task: Task,
    reason: str,
    *,
    signed_by: Person,
    via: str,
    take_over: bool = False,
    by: Actor,
    at: datetime,
) -> Task:
    """Close a task without doing it.

    An approval that waits is skipped by whoever may decide it, and signed as a rejection is.

    Raises:
        AlreadyDecided: Somebody was faster.
        CodeRequired: The SOP or the link wants a code to sign with, and none was verified.
        FourEyes: The signer opened the case or did the work, and the SOP wants somebody else.
        MandatoryTask: The SOP says that it may not be skipped.
        NotApprover: The SOP does not name the signer.
        NotYours: It belongs to somebody else.
        TextRequired: There is no reason.
    """
    case, task = await to_decide(tx, task, signed_by)
    if task.mandatory:
        raise MandatoryTask(f"{task_label(case, task)} is mandatory")
    asked = task.kind == "approval" and task.state == "open"
    rule = await approvals.refuse_who_may_not(tx, case, task, signed_by) if asked else None
    task_reason = texts.words(reason, "the reason")
    if rule is None or rule.needed == 1:  # of several approvers it is nobody's own
        await become_owner(tx, case, task, signed_by, take_over=take_over, by=by, at=at)
    proof = await approvals.proof_of(tx, task, rule, signed_by, via=via, at=at) if rule else {}
    task.reason = task_reason
    _decide(task, "skipped", "skipped", case, signed_by, via, at)
    await _record(tx, case, task, "task.skipped", None, signed_by, via, by=by, at=at, **proof)
    return task


async def retry(
    tx: Tx,
    task: Task,
    *,
    note: str | None = None,
    take_over: bool = False,
    signed_by: Person,
    via: str,
    by: Actor,
    at: datetime,
) -> Task:
    """Let the engine run an action once more that failed, or whose outcome nobody knows.

    Raises:
        AlreadyDecided: Somebody was faster.
        NotYours: It belongs to somebody else.
        NotAllowedNow: It neither failed nor is its outcome unknown.
    """
    case, task = await to_decide(tx, task, signed_by, frozenset({"failed", "unknown_outcome"}))
    await become_owner(tx, case, task, signed_by, take_over=take_over, by=by, at=at)
    written = await _noted(tx, case, task, note, signed_by, by=by, at=at)
    facts = {"was": task.state, "reason": personal(task, task.reason)}
    move_task(case, task, "waiting")
    task.attempt, task.reason = task.attempt + 1, None
    await _record(tx, case, task, "task.retried", written, signed_by, via, by=by, at=at, **facts)
    return task


async def _to_approve(
    tx: Tx,
    task: Task,
    note: str | None,
    signer: Person,
    seen: str | None,
    *,
    take_over: bool,
    by: Actor,
    at: datetime,
) -> tuple[Case, Task, Approval]:
    case, task = await to_decide(tx, task, signer, frozenset({"open"}))
    rule = await approvals.refuse_who_may_not(tx, case, task, signer)
    approvals.refuse_unseen(case, task, seen)
    _refuse_without_note(case, task, note)
    if rule.needed == 1:  # of several approvers it is nobody's own
        await become_owner(tx, case, task, signer, take_over=take_over, by=by, at=at)
    return case, task, rule


def _refuse_without_note(case: Case, task: Task, note: str | None) -> None:
    if task.note_required and not (note or "").strip():
        raise TextRequired(f"{task_label(case, task)} needs a note")


def _decide(task: Task, state: TaskState, decision: str, case: Case, signer: Person, via: str, at: datetime) -> None:
    move_task(case, task, state)
    task.decision, task.signed_by, task.decided_at, task.decided_via = decision, signer.handle, at, via
    if lifecycle.closed("task", state):
        task.closed_at, task.closed_by_id = at, signer.id


async def _record(
    tx: Tx,
    case: Case,
    task: Task,
    event: str,
    note: Note | None,
    signer: Person,
    via: str,
    *,
    by: Actor,
    at: datetime,
    **facts: object,
) -> None:
    if note is not None:
        task.note_id = note.id
    tx.record(event, task, by=by, at=at, facts={"signed_by": personal(signer, signer.handle), "via": via, **facts})
    await tx.flush()
    if task.state == "done":
        await deadlines.after_task(tx, case, task, task.form_values or {}, person=signer, by=by, at=at)
    await signals.raise_(tx, case, at)


async def _noted(
    tx: Tx, case: Case, task: Task, note: str | None, signer: Person, *, by: Actor, at: datetime
) -> Note | None:
    if not (note or "").strip():
        return None
    return await notes.add(tx, case, note or "", task=task, author=signer, by=by, at=at)
