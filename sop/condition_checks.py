"""What an author should know about a condition before a case finds out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sop.cel_functions import BUILT_IN, FUNCTIONS, SYNONYMS
from sop.cel_text import Reference
from sop.condition_answers import comparisons
from sop.conditions import Condition
from sop.errors import ConditionFailed, ConditionRefused
from sop.expressions import Expression
from sop.gaps import Gaps
from sop.model import Sop, Task
from sop.vocabulary import ALERT_FIELDS, CASE_FIELDS, ROOTS, fields_of
from sop.wording import did_you_mean, listed, shown

Complaint = tuple[str, str]
"""A message and a next step."""


@dataclass(frozen=True, slots=True)
class Names:
    """The tasks that conditions may name, as conditions write them.

    `unread` are the names of tasks that could not be read, so that nothing is known of their fields; not
    `complete` means that some tasks are not even known by name.
    """

    tasks: dict[str, Task]
    unread: frozenset[str]
    complete: bool

    @classmethod
    def of(cls, sop: Sop, gaps: Gaps) -> Names:
        """Return the names of an SOP."""
        known = {task.name: task for _, task in sop.tasks()}
        return cls(known, frozenset(key.replace("-", "_") for key in gaps.unread), gaps.complete)


def complaints(expression: Expression, names: Names) -> Iterator[Complaint]:
    """Yield what is wrong with an expression."""
    dashed = _dashed(expression, names)
    if dashed is not None:
        yield dashed
        return
    try:
        condition = Condition(expression.text)
    except ConditionRefused as refused:
        yield str(refused), _literal_step(expression) or refused.next_step
        return
    yield from _functions(condition)
    yield from _patterns(condition)
    for reference in _distinct(condition):
        yield from _reference(reference, expression, names)
    readable = {name: task for name, task in names.tasks.items() if name not in names.unread}
    yield from comparisons(condition.cel, readable, asks=expression.use != "with")
    yield from _whole(condition, expression)


def _dashed(expression: Expression, names: Names) -> Complaint | None:
    """Find `tasks.block-sender`, which CEL reads as a subtraction."""
    for said in re.findall(r"\btasks\.(\w+(?:-\w+)+)", expression.text):
        task = names.tasks.get(said.replace("-", "_"))
        if task is not None and task.key == said:
            return f"tasks.{task.key} would subtract: conditions write - as _.", f"Write tasks.{task.name}."
    return None


def _literal_step(expression: Expression) -> str | None:
    if expression.use == "with" and not re.search(r"[\"']", expression.text):
        return f"If it is text, put quotes inside the quotes: \"'{shown(expression.text)}'\"."
    return None


def _functions(condition: Condition) -> Iterator[Complaint]:
    known = BUILT_IN | FUNCTIONS.keys()
    for name in sorted(condition.functions - known):
        meant = SYNONYMS.get(name.lower().replace("_", ""))
        step = f"Did you mean {meant!r}?" if meant else did_you_mean(name, known, "functions")
        yield f"There is no function {name!r}.", step


def _patterns(condition: Condition) -> Iterator[Complaint]:
    """Try the regular expressions that are written out."""
    cel = condition.cel
    for first in cel.calls("matches"):
        token = cel.tokens[first] if first < len(cel.tokens) else None
        if token is None or token.kind != "text" or not cel.is_sign(first + 1, ")"):
            continue
        try:
            Condition(f"''.matches({token.text})").evaluate({})
        except ConditionFailed:
            yield (
                f"{shown(token.text)} is not a regular expression.",
                "Look at its brackets and backslashes.",
            )


def _distinct(condition: Condition) -> list[Reference]:
    return list({reference.path: reference for reference in condition.cel.references}.values())


def _reference(reference: Reference, expression: Expression, names: Names) -> Iterator[Complaint]:
    root, *rest = reference.path
    if root not in ROOTS:
        yield _unknown_root(root, expression, names)
    elif expression.use == "match" and root != "alert":
        yield f"There is no {root} yet when an alert comes in.", "Let `match` ask for alert.… only."
    elif root == "tasks" and rest:
        yield from _task(reference, expression, names)
    elif root in ("case", "alert") and rest:
        fields = CASE_FIELDS if root == "case" else ALERT_FIELDS
        if rest[0] not in fields:
            hint = " What the alert says of itself is under alert.fields." if root == "alert" else ""
            yield f"There is no {root}.{shown(rest[0])}.", did_you_mean(rest[0], fields, "fields") + hint


def _unknown_root(root: str, expression: Expression, names: Names) -> Complaint:
    message = f"{shown(root)!r} is not a name that conditions know."
    if root in names.tasks:
        return message, f"Write tasks.{root}."
    if expression.use == "with" and re.fullmatch(r"[\w-]+", expression.text):
        return message, f"If it is text, put quotes inside the quotes: \"'{expression.text}'\"."
    return message, f"{did_you_mean(root, ROOTS, 'names')} Text needs quotes: '{shown(root)}'."


def _task(reference: Reference, expression: Expression, names: Names) -> Iterator[Complaint]:
    name, *rest = reference.path[1:]
    task = names.tasks.get(name)
    if task is None:
        if names.complete:
            yield f"There is no task {shown(name)!r}.", did_you_mean(name, names.tasks, "tasks")
        return
    if task.key not in expression.closed:
        yield _too_early(task, expression)
    fields = fields_of(task)
    if rest and fields is not None and name not in names.unread and rest[0] not in fields:
        yield f"The task {task.key!r} has no field {shown(rest[0])!r}.", did_you_mean(rest[0], fields, "fields")
    if not rest and name not in names.unread and reference.path == ("tasks", name) and _alone(expression, reference):
        step = f"Ask for one of {listed(f'tasks.{name}.{field}' for field in sorted(fields or {'state'}))}."
        yield f"tasks.{name} is the whole task, not a value.", step


def _alone(expression: Expression, reference: Reference) -> bool:
    return expression.use == "when" and expression.text.strip() == str(reference)


def _too_early(task: Task, expression: Expression) -> Complaint:
    if len(expression.path) == len(("stages", 0, "when")):
        return (
            f"The task {task.key!r} is not closed when the stage begins.",
            "Name tasks of earlier stages, or move the condition to the tasks.",
        )
    step = "Name it in `depends_on` if it is in this stage; tasks of later stages cannot be asked."
    return f"The task {task.key!r} may not be closed by then.", step


def _whole(condition: Condition, expression: Expression) -> Iterator[Complaint]:
    """Look at conditions that have the same answer for every case."""
    if expression.use == "with" or condition.names or _unknown_functions(condition):
        return
    try:
        answer = condition.evaluate({})
    except ConditionFailed as failed:
        yield str(failed), failed.next_step
        return
    if not answer:
        what = "match an alert" if expression.use == "match" else "run"
        yield f"The condition is always false, so it can never {what}.", "Ask for a value of the case, or remove it."
    elif expression.use == "when":
        yield "The condition is always true.", "Remove it."


def _unknown_functions(condition: Condition) -> bool:
    return bool(condition.functions - BUILT_IN - FUNCTIONS.keys())
