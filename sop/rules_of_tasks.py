"""What a single task may combine, and what its form may ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sop.model import FormField, Task
from sop.owners import parse_owner
from sop.paths import Path
from sop.wording import listed

CEL_WORDS = frozenset({"true", "false", "null", "in"})
"""Words that cannot follow a dot in CEL."""

RESERVED_FIELDS = frozenset({"state", "decision", "note", "signed_by", "take_over"})
"""What every task has or asks for by itself, so that no field of a form can have the name."""

_CHOOSES = ("choice", "multichoice")


@dataclass(frozen=True, slots=True)
class FaultyTask:
    """Something a task may not be; `path` leads from the task to the place."""

    path: Path
    message: str
    next_step: str


def faults(task: Task, *, loose: bool = False) -> Iterator[FaultyTask]:
    """Yield everything that a task may not combine; of a `loose` one it is not known what it combines."""
    if task.name in CEL_WORDS:
        step = f"Give it another key, such as {task.name}-check."
        yield FaultyTask(("key",), f"Conditions cannot say tasks.{task.name}.", step)
    if not loose:
        yield from _action_only(task)
        yield from _form_only(task)
        yield from _by_link(task)
    yield from _never_enough(task)
    for name, field in (task.form or {}).items():
        yield from _field(name, field)


def _action_only(task: Task) -> Iterator[FaultyTask]:
    if task.action is not None:
        return
    for name in ("with_", "retries", "retry_delay", "timeout"):
        if name in task.model_fields_set:
            shown = name.rstrip("_")
            yield FaultyTask(
                (shown,), f"Only a task with an action has {shown!r}.", f"Add `action: …`, or remove {shown!r}."
            )


def _form_only(task: Task) -> Iterator[FaultyTask]:
    if task.form is None:
        return
    if task.approval is not None:
        step = "Put the form into a task of its own, before this one."
        yield FaultyTask(("form",), "An approval asks for yes or no, not for a form.", step)
    elif task.action is not None:
        step = "Put the form into a task of its own, and name its answers in `with`."
        yield FaultyTask(("form",), "A task with an action asks nobody, so it has no form.", step)


def _never_enough(task: Task) -> Iterator[FaultyTask]:
    rule = task.approval
    if rule is not None and rule.needed > 1 and parse_owner(rule.from_).kind == "user":
        step = "Say `from: role:ROLE`, or leave `needed` out."
        yield FaultyTask(
            ("approval", "needed"), f"One person cannot give the {rule.needed} approvals that are needed.", step
        )


_BY_LINK = {"approval": ("approve", "reject", "skip"), "manual": ("done", "skip"), "form": ("done", "skip")}


def _by_link(task: Task) -> Iterator[FaultyTask]:
    possible = _BY_LINK.get(task.kind, ())
    for index, decision in enumerate(task.by_link):
        path: Path = ("by_link", index)
        if decision not in possible:
            kind = "an approval" if task.kind == "approval" else f"a task of the kind {task.kind}"
            step = f"Choose from {listed(possible)}." if possible else "Remove `by_link`: an action asks nobody."
            yield FaultyTask(path, f"Nobody decides {kind} with {decision!r}.", step)
        elif decision in task.by_link[:index]:
            yield FaultyTask(path, f"{decision!r} is there twice.", "Remove one of the two.")
        elif decision == "skip" and task.mandatory:
            step = "Remove `skip`, or `mandatory`."
            yield FaultyTask(path, "The task is mandatory, so nobody may skip it.", step)


def _field(name: str, field: FormField) -> Iterator[FaultyTask]:
    path: Path = ("form", name)
    if name in RESERVED_FIELDS:
        step = f"Choose another name; {listed(sorted(RESERVED_FIELDS))} belong to every task."
        yield FaultyTask(path, f"A form's field cannot be called {name!r}.", step)
    if name in CEL_WORDS:
        yield FaultyTask(path, f"Conditions cannot name a field {name!r}.", "Choose another name.")
    if field.type in _CHOOSES and not field.options:
        yield FaultyTask(path, f"The {field.type} {name!r} has nothing to choose from.", "Add `options`, one a line.")
    if field.type not in _CHOOSES and field.options:
        step = "Make its type `choice` or `multichoice`, or remove the options."
        yield FaultyTask((*path, "options"), f"A field of the type {field.type} has no options.", step)
    for index, option in enumerate(field.options):
        if option in field.options[:index]:
            yield FaultyTask(
                (*path, "options", index), f"The option {option!r} is there twice.", "Remove one of the two."
            )
