"""Every CEL expression of an SOP, where it is, and which tasks are closed when it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from sop.model import Sop, Stage
from sop.paths import Path


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression; `closed` are the keys of the tasks that are closed by the time it is evaluated."""

    path: Path
    text: str
    use: Literal["match", "when", "with"]
    closed: frozenset[str]


def expressions(sop: Sop, unordered: frozenset[int] = frozenset()) -> Iterator[Expression]:
    """Yield every expression, in the order of the file.

    In stages that are `unordered`, any task may wait for any other.
    """
    if sop.match is not None:
        yield Expression(("match",), sop.match, "match", frozenset())
    earlier: frozenset[str] = frozenset()
    for number, stage in enumerate(sop.stages):
        here = frozenset(task.key for task in stage.tasks)
        yield from _of_stage(number, stage, earlier, here if number in unordered else frozenset())
        earlier |= here


def _of_stage(number: int, stage: Stage, earlier: frozenset[str], perhaps: frozenset[str]) -> Iterator[Expression]:
    if stage.when is not None:
        yield Expression(("stages", number, "when"), stage.when, "when", earlier)
    depends = {task.key: task.depends_on for task in stage.tasks}
    for position, task in enumerate(stage.tasks):
        path: Path = ("stages", number, "tasks", position)
        closed = earlier | perhaps | _before(task.key, depends)
        if task.when is not None:
            yield Expression((*path, "when"), task.when, "when", closed)
        for where, text in _texts((*path, "with"), task.with_):
            yield Expression(where, text, "with", closed)


def _before(key: str, depends: dict[str, tuple[str, ...]]) -> set[str]:
    """Return the tasks of the stage that are closed before this one starts."""
    found: set[str] = set()
    waiting = list(depends[key])
    while waiting:
        one = waiting.pop()
        if one in depends and one not in found:
            found.add(one)
            waiting.extend(depends[one])
    return found


def _texts(path: Path, value: JsonValue) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _texts((*path, name), one)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _texts((*path, index), one)
