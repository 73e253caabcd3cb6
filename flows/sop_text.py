"""An SOP in Markdown, as the Prefect UI shows it with the flow and its deployment."""

from __future__ import annotations

from sop.model import Sop, Stage, Task

_KINDS = {"action": "automated", "manual": "manual", "form": "form", "approval": "approval"}


def describe(sop: Sop) -> str:
    """Return title, summary and a table of the tasks of each stage."""
    parts = [f"## {sop.title}", f"SOP `{sop.key}`, version {sop.version}, severity {sop.severity}."]
    if sop.summary:
        parts.append(sop.summary.strip())
    parts += [_stage(number, stage) for number, stage in enumerate(sop.stages, 1)]
    return "\n\n".join(parts)


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
