"""The words that conditions may use for a case: what the scope of every condition holds.

The case store builds the scope; checks and editors help with these names.
"""

from __future__ import annotations

from sop.model import Sop, Task

ROOTS = ("case", "alert", "tasks", "observables")

CASE_FIELDS = frozenset({
    "number", "title", "severity", "state", "owner", "opened_at", "sop", "sop_version",
})  # fmt: skip
"""`owner` is the owner's handle or null."""

ALERT_FIELDS = frozenset({
    "source", "source_ref", "title", "severity", "severity_original", "occurred_at", "received_at", "link", "fields",
    "raw", "repeats",
})  # fmt: skip
"""`raw` is the id of the evidence that is the alert as it came in; `fields` is what the alert says of itself."""

TASK_FIELDS = ("state", "decision", "note")
"""What every task has, whatever its kind."""

TASK_STATES = frozenset({
    "waiting", "open", "running", "done", "rejected", "skipped", "not_applicable", "failed", "unknown_outcome",
    "cancelled",
})  # fmt: skip


def fields_of(task: Task) -> frozenset[str] | None:
    """Return what conditions may ask of a task; None when only its action knows."""
    if task.action is not None:
        return None
    return frozenset({*TASK_FIELDS, *(task.form or {})})


def blank_tasks(sop: Sop) -> dict[str, dict[str, object]]:
    """Return the scope's `tasks` before anything happened: every known value is there and null.

    A scope that begins with this lets conditions ask for the answers of a task that was skipped.
    """
    return {
        task.name: dict.fromkeys((*TASK_FIELDS, *(task.form or {}))) | {"state": "waiting"} for _, task in sop.tasks()
    }
