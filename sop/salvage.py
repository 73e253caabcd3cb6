"""What is left of an SOP without the parts that have not the right shape.

An author wants to see everything that is wrong at once, but rules and checks need a whole SOP. So
wrong fields are left out, fields that are needed get a stand-in, and `Gaps` says of what nobody
may complain a second time, or complain although it is only not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sop.gaps import Gaps
from sop.model import KEY_PATTERN, Sop, Task
from sop.paths import Path
from sop.wording import closest
from sop.yaml_reader import Data

_UNREADABLE = "unreadable-"
_FIELDS = frozenset(field.alias or name for name, field in Task.model_fields.items())
_Fields = dict[str, Data]


@dataclass(frozen=True, slots=True)
class Salvage:
    """A whole SOP, and what is not known about it."""

    sop: Sop
    gaps: Gaps


def salvage(data: Data, wrong: Iterable[Path]) -> Salvage | None:
    """Return what is left of a document without the elements at these paths, if anything is."""
    from pydantic import ValidationError  # noqa: PLC0415 - kept beside its only use

    paths = frozenset(wrong)
    if not isinstance(data, dict) or () in paths:
        return None
    stages = data.get("stages")
    kept: list[Data] = [_stage(one, n, paths) for n, one in enumerate(stages)] if isinstance(stages, list) else []
    whole = {"sop": "unreadable", "version": 1, "title": "?"} | _without(data, (), paths) | {"stages": kept}
    try:
        sop = Sop.model_validate(whole, by_alias=True, by_name=False)
    except ValidationError:
        return None
    return Salvage(sop, _gaps(sop, paths))


def _without(data: _Fields, path: Path, wrong: frozenset[Path]) -> _Fields:
    """Return the fields in which nothing is wrong."""
    bad = _wrong_fields(path, wrong)
    return {name: one for name, one in data.items() if name not in bad}


def _wrong_fields(path: Path, wrong: frozenset[Path]) -> set[str]:
    """Return the names of the fields, or the positions, of an element in which something is wrong."""
    return {str(one[len(path)]) for one in wrong if len(one) > len(path) and one[: len(path)] == path}


def _stage(data: Data, number: int, wrong: frozenset[Path]) -> Data:
    path: Path = ("stages", number)
    fields = data if isinstance(data, dict) and path not in wrong else {}
    tasks = fields.get("tasks")
    kept: list[Data] = [
        _task(one, (*path, "tasks", n), wrong) for n, one in enumerate(tasks if isinstance(tasks, list) else [])
    ]
    stand_in = _task(None, (*path, "tasks", 0), wrong)
    return (
        {"key": f"{_UNREADABLE}{number}", "title": "?"} | _without(fields, path, wrong) | {"tasks": kept or [stand_in]}
    )


def _task(data: Data, path: Path, wrong: frozenset[Path]) -> Data:
    fields = data if isinstance(data, dict) and path not in wrong else {}
    kept = {"key": f"{_UNREADABLE}{path[1]}-{path[3]}", "title": "?"} | _without(fields, path, wrong)
    form = fields.get("form")
    questions = _without(form, (*path, "form"), wrong) if isinstance(form, dict) else {}
    if "form" not in kept and questions and (*path, "form") not in wrong:
        kept["form"] = questions
    given = data.get("key") if isinstance(data, dict) else None
    if isinstance(given, str) and re.fullmatch(KEY_PATTERN, given):
        kept["key"] = given
    return kept


def _gaps(sop: Sop, wrong: frozenset[Path]) -> Gaps:
    damaged = {path: _damaged(path, wrong) for path, _ in _tasks(sop)}
    by_key = {task.key: damaged[path] for path, task in _tasks(sop)}
    return Gaps(
        broken=wrong,
        complete=not any(key.startswith(_UNREADABLE) for key in by_key),
        unread=frozenset(key for key, fields in by_key.items() if fields & {"form", "action"}),
        loose=frozenset(path for path, fields in damaged.items() if fields & {"form", "action", "approval"}),
        unordered=frozenset(int(path[1]) for path, fields in damaged.items() if "depends_on" in fields),
    )


def _damaged(path: Path, wrong: frozenset[Path]) -> set[str]:
    """Return the fields of a task of which it is not known what the author meant."""
    if any(path[:length] in wrong for length in range(len(path) + 1)):
        return set(_FIELDS)
    return {name if name in _FIELDS else closest(name, _FIELDS) or name for name in _wrong_fields(path, wrong)}


def _tasks(sop: Sop) -> Iterator[tuple[Path, Task]]:
    for number, stage in enumerate(sop.stages):
        for position, task in enumerate(stage.tasks):
            yield ("stages", number, "tasks", position), task
