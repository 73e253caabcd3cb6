"""What one case and one task look like at the terminal."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from case_store import find, forms, sops, tasks, views
from case_store.models import Task
from case_store.store import Tx
from case_store.views import (
    AlertRow,
    CasePage,
    DeadlineEntry,
    EvidenceEntry,
    NoteEntry,
    ObservableEntry,
    StageEntry,
    TaskEntry,
    TimelineRow,
)
from console.output import Column, Printer, Row
from console.text import moment, words

_STYLES = {
    "open": "bold yellow",
    "failed": "bold red",
    "unknown_outcome": "bold red",
    "running": "cyan",
    "done": "green",
    "rejected": "red",
}
_QUIET = "dim"
"""For what needs nobody: waiting, skipped, not applicable, cancelled."""


def state_style(state: str) -> str:
    """Return how a task's state is shown."""
    return _STYLES.get(state, _QUIET)


def _when(task: TaskEntry) -> datetime | None:
    return task.decided_at or task.closed_at


def _due(task: TaskEntry) -> str:
    if task.paused_at and not task.closed_at:
        return "paused"
    return f"{words(task.due_at)} (overdue)" if task.overdue and not task.closed_at else words(task.due_at)


_TASKS = [
    Column[TaskEntry]("Task", lambda task: task.key),
    Column[TaskEntry]("Title", lambda task: task.title, wide=True),
    Column[TaskEntry]("State", lambda task: task.state.replace("_", " "), style=lambda task: state_style(task.state)),
    Column[TaskEntry]("Owner", lambda task: task.signed_by or task.owner),
    Column[TaskEntry]("Due", _due),
    Column[TaskEntry]("Closed", _when),
]
_ALERTS = [
    Column[AlertRow]("Id", lambda alert: alert.id),
    Column[AlertRow]("Source", lambda alert: alert.source),
    Column[AlertRow]("Title", lambda alert: alert.title, wide=True),
    Column[AlertRow]("Occurred", lambda alert: alert.occurred_at, whole=True),
    Column[AlertRow]("Repeats", lambda alert: alert.repeats, right=True),
]
_OBSERVABLES = [
    Column[ObservableEntry]("Type", lambda one: one.type, whole=True),
    Column[ObservableEntry]("Value", lambda one: one.value, wide=True),
    Column[ObservableEntry]("Found by", lambda one: one.task),
]
_EVIDENCE = [
    Column[EvidenceEntry]("Name", lambda one: one.name),
    Column[EvidenceEntry]("Type", lambda one: one.media_type),
    Column[EvidenceEntry]("Bytes", lambda one: one.size, right=True, whole=True),
    Column[EvidenceEntry]("SHA-256", lambda one: one.sha256),
    Column[EvidenceEntry]("From", lambda one: one.task or one.added_by),
]
_NOTES = [
    Column[NoteEntry]("When", lambda note: note.revised_at or note.written_at, whole=True),
    Column[NoteEntry]("Who", lambda note: note.author),
    Column[NoteEntry]("About", lambda note: note.task),
    Column[NoteEntry]("Note", lambda note: note.body, wide=True),
]
_DEADLINE_STYLES = {"missed": "bold red", "met late": "red", "near": "bold yellow", "met": "green"}
_DEADLINES = [
    Column[DeadlineEntry]("Deadline", lambda one: one.name, wide=True),
    Column[DeadlineEntry]("From", lambda one: one.from_at, whole=True),
    Column[DeadlineEntry]("Due", lambda one: one.due_at, whole=True),
    Column[DeadlineEntry]("State", lambda one: one.state, style=lambda one: _DEADLINE_STYLES.get(one.state, "")),
    Column[DeadlineEntry]("Met", lambda one: one.met_at, whole=True),
    Column[DeadlineEntry]("How", lambda one: one.how or one.by),
]
TIMELINE = [
    Column[TimelineRow]("When", lambda row: moment(row.at), whole=True),
    Column[TimelineRow]("Who", lambda row: row.who),
    Column[TimelineRow]("What", lambda row: row.what),
    Column[TimelineRow]("Detail", lambda row: row.detail, wide=True),
]


def show_case(printer: Printer, page: CasePage) -> None:
    """Print everything about a case."""
    case = page.case
    printer.facts(
        {
            "Case": f"CASE-{case.number}",
            "Title": case.title,
            "State": case.state,
            "Severity": case.severity,
            "Owner": case.owner,
            "SOP": f"{case.sop_key}, version {page.sop_version}",
            "Opened": f"{words(case.opened_at)} by {page.opened_by}",
            "Due": f"{words(page.times.due_at)}{' (overdue)' if page.times.overdue else ''}",
            "Paused": page.times.paused_at and f"{words(page.times.paused_at)}: {page.times.pause_reason}",
            "Closed": case.closed_at,
            "Resolution": page.resolution,
            "Waiting": f"{case.open_tasks} tasks for people" if case.open_tasks else None,
        }
    )
    _section(printer, "Deadlines", page.times.deadlines, _DEADLINES)
    for stage in page.stages:
        _section(printer, _stage_title(stage), stage.tasks, _TASKS)
    _section(printer, "Alerts", page.alerts, _ALERTS)
    _section(printer, "Observables", page.observables, _OBSERVABLES)
    _section(printer, "Evidence", page.evidence, _EVIDENCE)
    _section(printer, "Notes", page.notes, _NOTES)


def _section(printer: Printer, title: str, rows: Sequence[Row], columns: Sequence[Column[Row]]) -> None:
    if rows:
        printer.say("")
        printer.table(title, rows, columns)


def _stage_title(stage: StageEntry) -> str:
    due = f", due {words(stage.due_at)}" if stage.due_at and not stage.closed_at else ""
    return f"{stage.title} ({stage.key}): {stage.state.replace('_', ' ')}{due}"


@dataclass(frozen=True)
class TaskPage:
    """One task with what its SOP says about it."""

    case: int
    stage: str
    task: TaskEntry
    instructions: str | None
    form: dict[str, object] | None
    """JSON Schema of the answers; None where the task has no form."""
    parameters_sha256: str | None
    """Of what an approval is about; None for tasks of other kinds."""

    @classmethod
    async def of(cls, tx: Tx, task: Task) -> "TaskPage":
        """Return the page of a task."""
        case = await find.case(tx, task.case_id)
        planned = (await sops.pinned(tx, case)).sop.task(task.key)
        page = await views.case(tx, case.number)
        stage, entry = next((stage, entry) for stage in page.stages for entry in stage.tasks if entry.id == task.id)
        form = forms.json_schema(planned.form) if planned.form else None
        digest = tasks.parameters_sha256(task.parameters) if planned.approval else None
        return cls(case.number, stage.key, entry, planned.instructions, form, digest)

    def document(self) -> dict[str, object]:
        """Return the page as one JSON object."""
        own = {"case": self.case, "stage": self.stage}
        return (
            own
            | asdict(self.task)
            | {
                "instructions": self.instructions,
                "form": self.form,
                "parameters_sha256": self.parameters_sha256,
            }
        )


def show_task(printer: Printer, page: TaskPage) -> None:
    """Print everything about a task."""
    task = page.task
    printer.facts(
        {
            "Task": f"{page.case}/{task.key}",
            "Title": task.title,
            "State": task.state.replace("_", " "),
            "Kind": task.kind,
            "Owner": task.owner,
            "Mandatory": "yes" if task.mandatory else None,
            "Due": _due(task),
            "Paused": task.paused_at and f"{words(task.paused_at)}: {task.pause_reason}",
            "Acknowledged": task.acknowledged_at,
            "Decision": task.decision,
            "Signed by": task.signed_by and f"{task.signed_by} via {task.decided_via}, {words(task.decided_at)}",
            "Approved by": ", ".join(task.approved_by) or None,
            "Parameters": page.parameters_sha256 and f"SHA-256 {page.parameters_sha256}",
            "Note": task.note,
            "Reason": task.reason,
            **{f"  {name}": value for name, value in (task.form_values or {}).items()},
            **{f"  with {name}": value for name, value in (task.parameters or {}).items()},
            **{f"  result {name}": value for name, value in (task.result or {}).items()},
        }
    )
    if page.instructions:
        printer.say(f"\n{page.instructions.strip()}")
    if page.form:
        printer.say("")
        printer.table("Form (answer with --set field=value)", _fields(page.form), _FIELDS)


@dataclass(frozen=True)
class _Field:
    name: str
    label: str
    answers: str
    required: bool


_FIELDS = [
    Column[_Field]("Field", lambda field: field.name),
    Column[_Field]("Question", lambda field: field.label, wide=True),
    Column[_Field]("Answers", lambda field: field.answers),
    Column[_Field]("Required", lambda field: field.required),
]


def _fields(form: dict[str, object]) -> list[_Field]:
    properties, required = form["properties"], form["required"]
    if not isinstance(properties, dict) or not isinstance(required, list):
        return []
    return [
        _Field(name, str(one.get("title", "")), _answers(one), name in required) for name, one in properties.items()
    ]


def _answers(described: dict[str, object]) -> str:
    items = described.get("items")
    options = described.get("enum") or (items.get("enum") if isinstance(items, dict) else None)
    if isinstance(options, list):
        several = "any of (commas between): " if "items" in described else ""
        return several + " | ".join(map(str, options))
    kind = str(described.get("format") or described["type"])
    return {"boolean": "yes or no", "string": "text", "multiline": "text, several lines"}.get(kind, kind)
