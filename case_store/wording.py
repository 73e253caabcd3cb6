"""How things are called in messages."""

from __future__ import annotations

from case_store.models import Case, Stage, Task


def case_label(case: Case) -> str:
    """Name a case the way people say it."""
    return f"CASE-{case.number}"


def stage_label(case: Case, stage: Stage) -> str:
    """Name a stage so that a person finds it."""
    return f"stage '{stage.key}' of {case_label(case)}"


def task_label(case: Case, task: Task) -> str:
    """Name a task so that a person finds it."""
    return f"task '{task.key}' of {case_label(case)}"
