"""How the elements of an SOP go together: keys, dependencies, and what a task may combine.

Every SOP that is loaded keeps these rules, so the engine may rely on them. They never become
stricter for an SOP that a case is pinned to: what an SOP *should* be beyond this is in
`sop.checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sop import rules_of_times
from sop.breaking import Broken
from sop.gaps import NONE, Gaps
from sop.model import Sop, Stage, Task
from sop.paths import Path
from sop.rules_of_tasks import FaultyTask, faults
from sop.wording import did_you_mean, listed


def broken_rules(sop: Sop, gaps: Gaps = NONE) -> Iterator[Broken]:
    """Yield every rule that the SOP does not keep; where there are gaps, only what is sure."""
    if sop.owner == "case-owner":
        step = "Write role:ROLE or user:HANDLE."
        yield Broken(("owner",), "The owner of a case cannot be its own owner.", step)
    yield from rules_of_times.broken(sop, complete=gaps.complete)
    yield from _same_stages(sop)
    yield from _same_tasks(sop)
    for number, stage in enumerate(sop.stages):
        yield from _dependencies(sop, number, stage, complete=gaps.complete)
        yield from _cycles(number, stage)
        for position, task in enumerate(stage.tasks):
            path: Path = ("stages", number, "tasks", position)
            for fault in faults(task, loose=path in gaps.loose):
                yield _located(path, fault)


def _located(path: Path, fault: FaultyTask) -> Broken:
    return Broken((*path, *fault.path), fault.message, fault.next_step)


def _same_stages(sop: Sop) -> Iterator[Broken]:
    seen: dict[str, str] = {}
    for number, stage in enumerate(sop.stages):
        if stage.key in seen:
            message = f"There are two stages with the key {stage.key!r}."
            yield Broken(("stages", number, "key"), message, "Give one of them another key.")
        seen[stage.key] = stage.title


def _same_tasks(sop: Sop) -> Iterator[Broken]:
    seen: dict[str, tuple[str, str]] = {}
    for number, stage in enumerate(sop.stages):
        for position, task in enumerate(stage.tasks):
            other = seen.setdefault(task.name, (task.key, stage.key))
            path: Path = ("stages", number, "tasks", position, "key")
            if other != (task.key, stage.key) or _repeated(stage, position):
                yield Broken(path, *_twice(task, *other))


def _repeated(stage: Stage, position: int) -> bool:
    return any(task.key == stage.tasks[position].key for task in stage.tasks[:position])


def _twice(task: Task, key: str, stage: str) -> tuple[str, str]:
    if key == task.key:
        step = "Task keys are unique in the whole SOP, because conditions say tasks.KEY: give one another key."
        return f"There is already a task with the key {key!r}, in the stage {stage!r}.", step
    step = "Give one of them another key."
    return f"Conditions cannot tell the tasks {key!r} and {task.key!r} apart: both are tasks.{task.name}.", step


def _dependencies(sop: Sop, number: int, stage: Stage, *, complete: bool) -> Iterator[Broken]:
    here = {task.key for task in stage.tasks}
    stage_of = {task.key: position for position, one in enumerate(sop.stages) for task in one.tasks}
    for position, task in enumerate(stage.tasks):
        for index, key in enumerate(task.depends_on):
            path: Path = ("stages", number, "tasks", position, "depends_on", index)
            if key == task.key:
                yield Broken(path, f"The task {key!r} depends on itself.", "Remove the key.")
            elif key in task.depends_on[:index]:
                yield Broken(path, f"The task {key!r} is named twice here.", "Remove one of the two.")
            elif key not in here and (complete or key in stage_of):
                yield Broken(path, *_elsewhere(key, number, here, stage_of))


def _elsewhere(key: str, number: int, here: set[str], stage_of: Mapping[str, int]) -> tuple[str, str]:
    if key not in stage_of:
        return f"There is no task {key!r} in this stage.", did_you_mean(key, here, "tasks")
    if stage_of[key] < number:
        step = "Remove it: stages run one after another, so that task is closed by then."
        return f"The task {key!r} is in an earlier stage.", step
    return f"The task {key!r} is in a later stage.", "Move it into this stage, or this task behind it."


def _cycles(number: int, stage: Stage) -> Iterator[Broken]:
    """Yield one problem for each circle of dependencies; longer ones than a task with itself."""
    depends = {task.key: [key for key in task.depends_on if key != task.key] for task in stage.tasks}
    reported: set[str] = set()
    for position, task in enumerate(stage.tasks):
        circle = _way(task.key, task.key, depends)
        if circle and not reported.intersection(circle):
            reported.update(circle)
            message = f"The tasks wait for each other: {listed([*circle, task.key], 'and again')}."
            path: Path = ("stages", number, "tasks", position, "depends_on")
            yield Broken(path, message, "Remove one of these dependencies.")


def _way(start: str, end: str, depends: Mapping[str, list[str]]) -> list[str]:
    """Return the tasks on a shortest way along the dependencies from a task to another, without `end`."""
    ways: list[list[str]] = [[start]]
    seen: set[str] = set()
    for way in ways:  # grows while it is read
        for key in depends.get(way[-1], []):
            if key == end:
                return way
            if key not in seen:
                seen.add(key)
                ways.append([*way, key])
    return []
