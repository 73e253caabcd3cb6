"""What an SOP needs of its surroundings, and what makes sense only when all of it is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from sop.actions import ActionSpec
from sop.condition_checks import Names, complaints
from sop.durations import format_duration
from sop.errors import Problem
from sop.expressions import expressions
from sop.loader import LoadedSop
from sop.model import SEVERITIES, Rung, Sla, Sop, Task
from sop.owners import parse_owner
from sop.paths import Path
from sop.times import APPRISE, CHANNELS
from sop.wording import did_you_mean, shown

_Finding = tuple[Path, str, str]


def check(
    loaded: LoadedSop,
    roles: AbstractSet[str],
    actions: AbstractSet[str],
    specs: Mapping[str, ActionSpec] | None = None,
    calendars: AbstractSet[str] = frozenset(),
) -> list[Problem]:
    """Return everything that stands between an SOP and its first case, by line.

    Args:
        loaded: The SOP.
        roles: The roles people have.
        actions: The names of the actions there are.
        specs: The actions themselves, to check the parameters they are given; without them, only
            names are checked and nothing has to be imported.
        calendars: The names of the calendars there are.
    """
    sop = loaded.sop
    findings = [
        *_roles(sop, roles),
        *_hours(sop, calendars),
        *_channels(sop),
        *_actions(sop, actions),
        *_parameters(sop, specs or {}),
        *_slas(sop),
        *_conditions(loaded),
    ]
    return sorted(
        loaded.problem(path, message, next_step)
        for path, message, next_step in findings
        if not loaded.gaps.is_broken(path)
    )


def _roles(sop: Sop, roles: AbstractSet[str]) -> Iterator[_Finding]:
    for path, rule in _rules(sop):
        owner = parse_owner(rule)
        if owner.kind == "role" and owner.name not in roles:
            step = f"{did_you_mean(str(owner.name), roles, 'roles')} A new role is added in roles.yaml."
            yield path, f"There is no role {owner.name!r}.", step


def _hours(sop: Sop, calendars: AbstractSet[str]) -> Iterator[_Finding]:
    if sop.hours is not None and sop.hours not in calendars:
        step = f"{did_you_mean(sop.hours, calendars, 'calendars')} Calendars are in calendars.yaml, beside your SOPs."
        yield ("hours",), f"There is no calendar {sop.hours!r}.", step


def _channels(sop: Sop) -> Iterator[_Finding]:
    ladders: list[tuple[Path, Sequence[Rung]]] = [(("escalation",), sop.escalation)]
    ladders += [((*path, "escalation"), task.escalation or ()) for path, task in _tasks(sop)]
    for path, rungs in ladders:
        for number, rung in enumerate(rungs):
            if rung.via is not None and rung.via not in CHANNELS and not rung.via.startswith(APPRISE):
                step = f"{did_you_mean(rung.via, CHANNELS, 'channels')} A target of your own is {APPRISE}NAME."
                yield (*path, number, "via"), f"There is no channel {rung.via!r}.", step


def _rules(sop: Sop) -> Iterator[tuple[Path, str]]:
    yield ("owner",), sop.owner
    for path, task in _tasks(sop):
        yield (*path, "owner"), task.owner
        if task.approval is not None:
            yield (*path, "approval", "from"), task.approval.from_


def _actions(sop: Sop, actions: AbstractSet[str]) -> Iterator[_Finding]:
    own = "Actions of your own are named in CASEWRIGHT_ACTIONS."
    for path, task in _tasks(sop):
        if task.action is not None and task.action not in actions:
            known = did_you_mean(task.action, actions, "actions") if actions else "No action is installed at all."
            yield (*path, "action"), f"There is no action {task.action!r}.", f"{known} {own}"


def _parameters(sop: Sop, specs: Mapping[str, ActionSpec]) -> Iterator[_Finding]:
    for path, task in _tasks(sop):
        spec = specs.get(task.action or "")
        accepted = spec.parameters() if spec is not None else None
        if accepted is None:
            continue
        for name in task.with_:
            if name not in accepted:
                message = f"The action {task.action!r} has no parameter {shown(name)!r}."
                yield (*path, "with", name), message, did_you_mean(name, accepted, "parameters")
        for name, needed in accepted.items():
            if needed and name not in task.with_:
                message = f"The action {task.action!r} needs the parameter {name!r}."
                yield (*path, "with"), message, f"Add `{name}: …` under `with`."


def _slas(sop: Sop) -> Iterator[_Finding]:
    for number, stage in enumerate(sop.stages):
        for position, task in enumerate(stage.tasks):
            longer = next(_longer(task.sla, stage.sla), None)
            if longer is not None:
                severity, mine, whole = longer
                message = f"The task may take {mine}, but its whole stage only {whole}{severity}."
                path: Path = ("stages", number, "tasks", position, "sla")
                yield path, message, f"Write at most {whole}, or give the stage {stage.key!r} more time."


def _longer(part: Sla | None, whole: Sla | None) -> Iterator[tuple[str, str, str]]:
    """Yield each severity for which the part may take longer than the whole, with both times."""
    for severity in SEVERITIES:
        mine, limit = (part and part.of(severity)), (whole and whole.of(severity))
        if mine and limit and mine > limit:
            told = "" if part == Sla(otherwise=mine) and whole == Sla(otherwise=limit) else f" for severity {severity}"
            yield told, format_duration(mine), format_duration(limit)


def _conditions(loaded: LoadedSop) -> Iterator[_Finding]:
    names = Names.of(loaded.sop, loaded.gaps)
    for expression in expressions(loaded.sop, loaded.gaps.unordered):
        for message, next_step in complaints(expression, names):
            yield expression.path, message, next_step


def _tasks(sop: Sop) -> Iterator[tuple[Path, Task]]:
    for number, stage in enumerate(sop.stages):
        for position, task in enumerate(stage.tasks):
            yield ("stages", number, "tasks", position), task
