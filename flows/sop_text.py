"""An SOP in Markdown, as the Prefect UI shows it with the flow and its deployment."""

from __future__ import annotations

from sop.durations import format_duration
from sop.model import Sop, Stage, Task

_KINDS = {"action": "automated", "manual": "manual", "form": "form", "approval": "approval"}


def describe(sop: Sop) -> str:
    """Return title, summary and a table of the tasks of each stage."""
    parts = [f"## {sop.title}", f"SOP `{sop.key}`, version {sop.version}, severity {sop.severity}."]
    if sop.summary:
        parts.append(sop.summary.strip())
    parts += _times(sop)
    parts += [_stage(number, stage) for number, stage in enumerate(sop.stages, 1)]
    return "\n\n".join(parts)


def _times(sop: Sop) -> list[str]:
    """Return who is told of what is late, and what others demand by a time."""
    rungs = [
        f"{format_duration(rung.after)} {rung.to}{f' by {rung.via}' if rung.via else ''}" for rung in sop.escalation
    ]
    ladder = [f"**When a task is late**, this long after its due time are told: {', '.join(rungs)}."] if rungs else []
    rows = [f"* {one.name}: {format_duration(one.after)} from {one.from_}" for one in sop.deadlines]
    return [*ladder, *(["**Deadlines**, around the clock:\n\n" + "\n".join(rows)] if rows else [])]


def _stage(number: int, stage: Stage) -> str:
    within = f", within {stage.sla}" if stage.sla else ""
    rows = "\n".join(_row(task) for task in stage.tasks)
    return f"### {number}. {stage.title}{within}\n\n| task | kind | owner | within |\n|---|---|---|---|\n{rows}"


def _row(task: Task) -> str:
    owner = task.action if task.kind == "action" else (task.approval.from_ if task.approval else task.owner)
    within = str(task.sla or "")
    return f"| {_cell(task.title)} | {_KINDS[task.kind]} | {owner} | {within} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
