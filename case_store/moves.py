"""Change the state of a case, stage or task, if its table in `lifecycle` allows it."""

from __future__ import annotations

from case_store import lifecycle
from case_store.models import Case, CaseState, Stage, StageState, Task, TaskState
from case_store.wording import case_label, stage_label, task_label


def move_case(case: Case, after: CaseState, *, reopening: bool = False) -> None:
    """Give a case another state, or refuse with NotAllowedNow."""
    lifecycle.check("case", case.state, after, name=case_label(case), reopening=reopening)
    case.state = after


def move_stage(case: Case, stage: Stage, after: StageState, *, reopening: bool = False) -> None:
    """Give a stage another state, or refuse with NotAllowedNow."""
    lifecycle.check("stage", stage.state, after, name=stage_label(case, stage), reopening=reopening)
    stage.state = after


def move_task(case: Case, task: Task, after: TaskState, *, reopening: bool = False) -> None:
    """Give a task another state, or refuse with NotAllowedNow."""
    lifecycle.check("task", task.state, after, name=task_label(case, task), reopening=reopening)
    task.state = after
