"""What ladders and deadlines may say: rungs in order, names once, tasks and fields that exist."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from sop.breaking import Broken
from sop.durations import format_duration
from sop.model import Deadline, Rung, Sop, Task
from sop.paths import Path
from sop.wording import did_you_mean


def broken(sop: Sop, *, complete: bool) -> Iterator[Broken]:
    """Yield every rule about times that the SOP does not keep; without all its tasks known, only what is sure."""
    yield from _ladder(("escalation",), sop.escalation)
    for number, stage in enumerate(sop.stages):
        for position, task in enumerate(stage.tasks):
            yield from _ladder(("stages", number, "tasks", position, "escalation"), task.escalation or ())
    tasks = {task.key: task for _, task in sop.tasks()}
    names: set[str] = set()
    for number, deadline in enumerate(sop.deadlines):
        path: Path = ("deadlines", number)
        if deadline.name in names:
            message = f"There are two deadlines with the name {deadline.name!r}."
            yield Broken((*path, "name"), message, "Give one of them another name.")
        names.add(deadline.name)
        if deadline.warn is not None and deadline.warn >= deadline.after:
            message = f"The warning would come {format_duration(deadline.warn)} before the end of {deadline.name!r}."
            yield Broken((*path, "warn"), message, f"Write less than {format_duration(deadline.after)}.")
        if complete:
            yield from _tasks_of(path, deadline, tasks)


def _ladder(path: Path, rungs: tuple[Rung, ...]) -> Iterator[Broken]:
    for number, (lower, upper) in enumerate(pairwise(rungs), 1):
        if upper.after < lower.after:
            message = f"The rung after {format_duration(upper.after)} stands behind one that comes later."
            yield Broken((*path, number, "after"), message, "Write the rungs in the order in which they come.")


def _tasks_of(path: Path, deadline: Deadline, tasks: dict[str, Task]) -> Iterator[Broken]:
    key, _, field = deadline.from_.partition(".")
    if field and key not in tasks:
        yield Broken((*path, "from"), f"There is no task {key!r}.", did_you_mean(key, tasks, "tasks"))
    elif field:
        kinds = {name: one.type for name, one in (tasks[key].form or {}).items()}
        if kinds.get(field) not in {"date", "datetime"}:
            found = f"is a {kinds[field]}" if field in kinds else "is not there"
            step = "Name a field of the type datetime or date, as TASK.FIELD."
            yield Broken((*path, "from"), f"The field {field!r} of the task {key!r} {found}.", step)
    if deadline.met_by is not None and deadline.met_by not in tasks:
        step = did_you_mean(deadline.met_by, tasks, "tasks")
        yield Broken((*path, "met_by"), f"There is no task {deadline.met_by!r}.", step)
