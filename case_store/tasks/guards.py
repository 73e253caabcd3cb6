"""What has to hold before a person decides a task."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from case_store import find, lifecycle
from case_store.lifecycle import NotAllowedNow
from case_store.models import Case, Person, Task
from case_store.refusals import AlreadyDecided, PersonInactive
from case_store.store import Tx
from case_store.wording import task_label

_HINTS = {
    "waiting": "wait until what comes before it is done; it will be asked for then",
    "open": "complete or skip it; an approval is approved or rejected",
    "failed": "try the action again, complete the task by hand, or skip it",
    "unknown_outcome": "find out whether the action worked; then complete the task by hand, or try it again",
    "running": "wait for the action to end; if its process died, the next sweep asks a person",
}


async def to_decide(
    tx: Tx, task: Task, signer: Person, states: AbstractSet[str] = lifecycle.ASKS_A_PERSON
) -> tuple[Case, Task]:
    """Lock the case, read the task anew, and return both if the task still waits for a decision.

    Raises:
        AlreadyDecided: Somebody was faster, or the task was closed in another way.
        NotAllowedNow: It has not been asked yet, or runs.
        PersonInactive: The signer no longer works on cases.
    """
    case, task = await find.locked(tx, task)
    refuse_closed(case, task)
    if task.state not in states:
        raise NotAllowedNow(f"{task_label(case, task)} is {task.state}", next_step=_HINTS.get(task.state))
    if not signer.active:
        raise PersonInactive(f"{signer.handle} is not active")
    return case, task


def refuse_closed(case: Case, task: Task) -> None:
    """Refuse a task on which everything is decided: closed, or approved and about to run.

    Raises:
        AlreadyDecided: With who, when and via.
    """
    approved = task.decision == "approved" and task.state in {"waiting", "running"}
    if not approved and not lifecycle.closed("task", task.state):
        return
    by_person = approved or task.closed_by_id is not None
    raise AlreadyDecided(
        task_label(case, task),
        (task.decision if by_person and task.decision else task.state).replace("_", " "),
        who=task.signed_by if by_person else None,
        when=task.decided_at if approved else task.closed_at,
        via=task.decided_via if by_person else None,
    )
