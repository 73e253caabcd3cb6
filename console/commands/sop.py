"""`casewright sop`: list, read and check SOPs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from cyclopts import App, Parameter

from console.call import Call, Here
from console.library import library, readable, said
from console.output import AsJson, Column
from sop.actions import names
from sop.errors import Problem
from sop.library import Library, directories, inspect
from sop.loader import BESIDE, LoadedSop, sop_files
from sop.model import Stage, Task
from sop.schema import schema as json_schema

app = App(name="sop", help="List, read and check SOPs.")


@app.command(name="list")
def list_(*, as_json: AsJson = False, call: Here) -> None:
    """List the SOPs of the library."""
    rows = [SopRow.of(loaded) for loaded in readable(call)]
    call.printer.listing("sops", rows, _SOP_COLUMNS, as_json=as_json, empty="the library holds no SOP")


@dataclass(frozen=True)
class SopRow:
    """One SOP in the listing."""

    sop: str
    version: int
    title: str
    severity: str
    stages: int
    tasks: int
    match: str | None
    source: str
    digest: str

    @classmethod
    def of(cls, loaded: LoadedSop) -> Self:
        """Take from an SOP what the listing shows."""
        sop = loaded.sop
        tasks = sum(len(stage.tasks) for stage in sop.stages)
        known = (sop.key, sop.version, sop.title, sop.severity, len(sop.stages), tasks, sop.match)
        return cls(*known, loaded.source, loaded.digest)


_SOP_COLUMNS = [
    Column[SopRow]("SOP", lambda row: row.sop, whole=True),
    Column[SopRow]("Version", lambda row: row.version, right=True),
    Column[SopRow]("Title", lambda row: row.title, wide=True),
    Column[SopRow]("Severity", lambda row: row.severity, whole=True),
    Column[SopRow]("Stages", lambda row: row.stages, right=True),
    Column[SopRow]("Tasks", lambda row: row.tasks, right=True),
    Column[SopRow]("Alerts open it", lambda row: row.match is not None),
]


@app.command
def show(
    key: Annotated[str, Parameter(help="The SOP's key, such as `phishing`.")],
    /,
    *,
    text: Annotated[bool, Parameter(help="Print the file as it is.")] = False,
    as_json: AsJson = False,
    call: Here,
) -> None:
    """Show one SOP: its stages and tasks, who does them and under what condition."""
    loaded = library(call).get(key)
    if as_json:
        call.printer.json(
            {"source": loaded.source, "digest": loaded.digest, "sop": loaded.sop.model_dump(mode="json", by_alias=True)}
        )
        return
    if text:
        call.printer.exactly(loaded.text)
        return
    sop = loaded.sop
    call.printer.facts(
        {
            "SOP": f"{sop.key}, version {sop.version}",
            "Title": sop.title,
            "Severity": sop.severity,
            "Owner": sop.owner,
            "Alerts open it when": sop.match,
            "File": loaded.source,
        }
    )
    if sop.summary:
        call.printer.say(f"\n{sop.summary.strip()}")
    for stage in sop.stages:
        call.printer.say("")
        call.printer.table(_heading(stage), stage.tasks, _TASK_COLUMNS)


def _heading(stage: Stage) -> str:
    notes = [f"within {stage.sla}" if stage.sla else "", f"when {stage.when}" if stage.when else ""]
    said = "; ".join(note for note in notes if note)
    return f"{stage.title} ({stage.key})" + (f"  {said}" if said else "")


def _doer(task: Task) -> str:
    if task.approval is not None:
        action = f", then {task.action}" if task.action else ""
        return f"approval from {task.approval.from_}{action}"
    return task.action or task.owner


_TASK_COLUMNS = [
    Column[Task]("Task", lambda task: task.key),
    Column[Task]("Title", lambda task: task.title, wide=True),
    Column[Task]("Kind", lambda task: task.kind, whole=True),
    Column[Task]("Done by", _doer),
    Column[Task]("Within", lambda task: task.sla),
    Column[Task]("After", lambda task: task.depends_on),
    Column[Task]("When", lambda task: task.when),
]


@app.command
def check(
    *files: Annotated[Path, Parameter(help="SOP files or folders of them; without any, the library.")],
    as_json: AsJson = False,
    call: Here,
) -> int:
    """Check SOP files (or the whole library); ends with 1 when something is wrong."""
    checked, problems = _checked(call, files)
    if as_json:
        call.printer.json({"ok": not problems, "checked": checked, "problems": problems})
        return 1 if problems else 0
    for problem in problems:
        call.printer.warn(said(problem))
    if problems:
        return 1
    call.printer.say(f"{len(checked)} SOP{'s' if len(checked) != 1 else ''} checked, nothing wrong")
    return 0


@app.command
def schema(*, call: Here) -> None:
    """Print the JSON Schema of SOP files, for editors."""
    call.printer.json(json_schema())


def _checked(call: Call, paths: Sequence[Path]) -> tuple[list[str], list[Problem]]:
    """Return the files that were checked, and what is wrong with them."""
    folders = [path for path in paths if path.is_dir()]
    known = Library.survey(directories([*call.settings.sops, *folders]), call.settings.actions)
    if not paths:
        broken = {problem.source for problem in known.problems}
        return sorted({loaded.source for loaded in known.sops.values()} | broken), list(known.problems)
    actions, calendars = names(call.settings.actions), known.calendars.keys()
    files = list(_files(paths))
    problems = [one for file in files for one in inspect(file, known.roles.keys(), actions, None, calendars)]
    beside = [one for one in known.problems if _lies_beside(Path(one.source), folders)]
    return [str(file) for file in files], [*problems, *beside]


def _lies_beside(file: Path, folders: Sequence[Path]) -> bool:
    return file.stem in BESIDE and file.parent in folders


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sop_files([path])
        else:
            yield path
