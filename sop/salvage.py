"""What is left of an SOP when the elements that cannot be read are replaced by stand-ins.

An author wants to see everything that is wrong at once. Rules and checks need a whole SOP, so a
task that has not the right shape is replaced by a bare one of the same key; nothing is said about
it a second time, and nothing about what others say of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sop.model import KEY_PATTERN, Sop, Task
from sop.paths import Path
from sop.yaml_reader import Data

_TASK_DEPTH = 4  # ("stages", 0, "tasks", 0)


@dataclass(frozen=True, slots=True)
class Salvage:
    """A whole SOP, with stand-ins at the paths `broken`; `keys` are the keys of tasks among them.

    Not `complete` means that there may be tasks whose keys nobody knows.
    """

    sop: Sop
    broken: frozenset[Path]
    keys: frozenset[str]
    complete: bool

    def is_broken(self, path: Path) -> bool:
        """Say whether the element is part of a stand-in."""
        return any(path[:length] in self.broken for length in range(len(path) + 1))


def salvage(data: Data, bad: Iterable[Path]) -> Salvage | None:
    """Return what is left of a document without the elements at these paths, if anything is."""
    from pydantic import ValidationError  # noqa: PLC0415 - kept beside its only use

    wrong = set(bad)
    stages = data.get("stages") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(stages, list) or () in wrong:
        return None
    broken = wrong | {path[:_TASK_DEPTH] for path in wrong if _in_task(path)}
    whole = _without(data, (), broken) | {"stages": [_stage(one, n, broken) for n, one in enumerate(stages)]}
    try:
        sop = Sop.model_validate(
            {"sop": "unreadable", "version": 1, "title": "?"} | whole, by_alias=True, by_name=False
        )
    except ValidationError:
        return None
    stand_ins = {task.key for n, i, task in _tasks(sop) if ("stages", n, "tasks", i) in broken}
    complete = not any(task.key.startswith("unreadable-") for _, _, task in _tasks(sop))
    return Salvage(sop, frozenset(broken), frozenset(stand_ins), complete)


def _in_task(path: Path) -> bool:
    return len(path) >= _TASK_DEPTH and path[0] == "stages" and path[2] == "tasks"


def _tasks(sop: Sop) -> Iterable[tuple[int, int, Task]]:
    return ((n, i, task) for n, stage in enumerate(sop.stages) for i, task in enumerate(stage.tasks))


def _without(data: dict[str, Data], path: Path, broken: set[Path]) -> dict[str, Data]:
    return {name: one for name, one in data.items() if (*path, name) not in broken}


def _stage(data: Data, number: int, broken: set[Path]) -> Data:
    path: Path = ("stages", number)
    stand_in: dict[str, Data] = {"key": f"unreadable-{number}", "title": "?"}
    tasks = data.get("tasks") if isinstance(data, dict) else None
    if not isinstance(data, dict) or path in broken or not isinstance(tasks, list) or not tasks:
        return stand_in | {"tasks": [_task(None, (*path, "tasks", 0))]}
    kept = [_task(task, (*path, "tasks", n)) if (*path, "tasks", n) in broken else task for n, task in enumerate(tasks)]
    return stand_in | _without(data, path, broken) | {"tasks": kept}


def _task(data: Data, path: Path) -> dict[str, Data]:
    """Return a bare task of the same key that waits for the same tasks."""
    given = data if isinstance(data, dict) else {}
    key, depends_on = given.get("key"), given.get("depends_on")
    waits = [one for one in depends_on if _is_key(one)] if isinstance(depends_on, list) else []
    known = key if _is_key(key) else f"unreadable-{path[1]}-{path[3]}"
    return {"key": known, "title": "?", "depends_on": waits}


def _is_key(key: Data) -> bool:
    return isinstance(key, str) and re.fullmatch(KEY_PATTERN, key) is not None
