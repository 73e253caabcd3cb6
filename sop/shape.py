"""Data into an `Sop`, or every way in which the data has not the shape of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sop.errors import Problem
from sop.model import Approval, Element, FormField, Sla, Sop, Stage, Task
from sop.wording import closest, did_you_mean, listed, shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from sop.paths import Path
    from sop.yaml_reader import Data, Document

_ELEMENTS: dict[str, type[Element]] = {
    "stages": Stage, "tasks": Task, "form": FormField, "approval": Approval, "sla": Sla,
}  # fmt: skip
_ARTICLES: dict[type[Element], str] = {
    Sop: "an SOP", Stage: "a stage", Task: "a task", FormField: "a form's field", Approval: "an approval",
    Sla: "an SLA",
}  # fmt: skip

_QUOTE = 'If it is text, put it in quotes: "{shown}".'
_KEY = "Use small letters, digits, - and _, at most 40, beginning with a letter: block-sender."

_PATTERNS: dict[str, tuple[str, str]] = {
    "owner": ("{shown} is not an owner.", "Write role:ROLE, user:HANDLE or case-owner."),
    "deadlines.from": (
        "{shown} is no beginning of a deadline.",
        "Write opened, or TASK.FIELD: a date and time in a form.",
    ),
    "from": ("{shown} cannot approve.", "Write role:ROLE or user:HANDLE."),
    "sop": ("{shown} is not a key.", _KEY),
    "key": ("{shown} is not a key.", _KEY),
    "to": (
        "{shown} is nobody whom a rung reaches.",
        "Write owner, backup, owner.manager, on-call, case-owner, role:ROLE or user:HANDLE.",
    ),
    "via": ("{shown} is not a channel.", "Write the name of a channel, such as email, sms or apprise:NAME."),
    "met_by": ("{shown} is not a key.", "Write the key of the task whose end meets the deadline."),
    "depends_on": ("{shown} is not a key.", "Write the key of a task of the same stage."),
    "form": (
        "{shown} is not a name for a form's field.",
        "Use small letters, digits and _, beginning with a letter: affected_users; the text to show is the `label`.",
    ),
    "action": ("{shown} is not the name of an action.", "Write a name such as observables.extract."),
}
_ONE_LINE = ("{shown} is not one line.", "Write it on one line, without spaces around it; use `title: text`.")

_SAYINGS: dict[str, tuple[str, str]] = {
    "missing": ("The field {field!r} is missing.", "Add `{field}: …` to {element}."),
    "string_type": ("The field {field!r} must be text, not {shown}.", _QUOTE),
    "string_too_short": ("The field {field!r} is empty.", "Give it a text, or leave the field out."),
    "string_too_long": ("The field {field!r} is longer than {max_length} characters.", "Shorten it."),
    "bool_type": ("The field {field!r} must be true or false, not {shown}.", "Write true or false, without quotes."),
    "int_type": ("The field {field!r} must be a whole number, not {shown}.", "Write digits only, without quotes."),
    "greater_than_equal": ("The field {field!r} is {shown}; the smallest is {ge}.", "Write at least {ge}."),
    "less_than_equal": ("The field {field!r} is {shown}; the largest is {le}.", "Write at most {le}."),
    "duration": ("The field {field!r} must be a duration, not {shown}.", "Write one such as 30m, 1h, 2d or 1h30m."),
    "tuple_type": ("The field {field!r} must be a list.", "Begin each item on a line of its own with `- `."),
    "dict_type": ("The field {field!r} must hold fields.", "Write `name: value` below it, indented by two spaces."),
    "model_type": ("{Element} is expected here.", "Write its fields as `name: value`, indented by two spaces."),
    "too_long": ("The field {field!r} has more than {max_length} entries.", "Split it."),
    "too_short": ("The field {field!r} has no entries.", "Add at least one."),
}


def shape(document: Document) -> tuple[Sop | None, list[tuple[Path, Problem]]]:
    """Return the SOP, or None and each problem with the path it is at."""
    from pydantic import ValidationError  # noqa: PLC0415 - kept beside its only use

    try:
        return Sop.model_validate(document.data, by_alias=True, by_name=False), []
    except ValidationError as error:
        found = [detail for detail in error.errors(include_url=False) if not _consequence(detail)]
    return None, [(_path(detail), _problem(detail, document)) for detail in found]


def empty_fields(document: Document) -> list[tuple[Path, Problem]]:
    """Return a problem for each field that has no value, as in `when:` with nothing behind it.

    Where a value is needed, `shape` complains; a field that may be left out may not be empty
    either, for nobody can see whether something was forgotten there. Parameters may be null.
    """
    message, next_step = "The field {!r} has no value.", "Give it one, or remove the line."
    return [
        (path, Problem(document.source, document.line(path), message.format(shown(_field(path))), next_step))
        for path in _empty((), document.data)
    ]


def _empty(path: Path, data: Data) -> Iterator[Path]:
    if isinstance(data, dict):
        for name, one in data.items():
            if one is None:
                yield (*path, name)
            elif name != "with":
                yield from _empty((*path, name), one)
    elif isinstance(data, list):
        for index, one in enumerate(data):
            yield from _empty((*path, index), one)


def _consequence(detail: ErrorDetails) -> bool:
    """Say whether pydantic counts a list as too short only because its entries were refused."""
    return detail["type"] == "too_short" and bool(detail["input"])


def _path(detail: ErrorDetails) -> Path:
    return tuple(part for part in detail["loc"] if part != "[key]")


def _problem(detail: ErrorDetails, document: Document) -> Problem:
    path = _path(detail)
    message, next_step = _extra(path) if detail["type"] == "extra_forbidden" else _saying(detail, path)
    return Problem(document.source, document.line(path), message, next_step)


def _saying(detail: ErrorDetails, path: Path) -> tuple[str, str]:
    owner, field = _element(path[:-1] if detail["type"] == "missing" else path), _field(path)
    said = _SAYINGS.get(detail["type"])
    if detail["type"] == "string_pattern_mismatch":
        said = _PATTERNS.get(f"{path[0]}.{field}") or _PATTERNS.get(field, _ONE_LINE)
    elif detail["type"] == "literal_error":
        said = _choice(detail, field)
    elif isinstance(detail["input"], bool) and field in ("when", "match"):
        said = (
            "The field {field!r} must be a condition, not {shown}.",
            "Write one such as {example}, or remove the line.",
        )
    elif detail["input"] is None and detail["type"] != "missing":
        said = ("The field {field!r} has no value.", "Give it one, or leave the field out.")
    message, next_step = said or (f"The field {{field!r}}: {detail['msg']}.", "Correct the value.")
    words = {
        "field": field,
        "element": _ARTICLES[owner],
        "Element": f"{_ARTICLES[owner][0].upper()}{_ARTICLES[owner][1:]}",
    }
    words |= {name: str(value) for name, value in detail.get("ctx", {}).items()}
    words["example"] = "tasks.KEY.FIELD == 'value'" if field == "when" else "alert.title.contains('value')"
    words["shown"] = shown(detail["input"])
    return message.format(**words), next_step.format(**words)


def _choice(detail: ErrorDetails, field: str) -> tuple[str, str]:
    options = [option.strip("' ") for option in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
    meant = closest(str(detail["input"]), options)
    step = f"Did you mean {meant!r}?" if meant else f"Write {listed(options, 'or')}."
    return f"The field {field!r} cannot be {{shown}}.", step


def _extra(path: Path) -> tuple[str, str]:
    element, name = _element(path[:-1]), str(path[-1])
    known = _names(element)
    message = f"There is no field {shown(name)!r} in {_ARTICLES[element]}."
    elsewhere = [other for other in _ARTICLES if other is not element and name in _names(other)]
    if elsewhere:
        return message, f"It belongs to {listed(_ARTICLES[other] for other in elsewhere)}; look at the indentation."
    return message, did_you_mean(name, known, "fields")


def _names(element: type[Element]) -> set[str]:
    return {field.alias or name for name, field in element.model_fields.items()}


def _element(path: Path) -> type[Element]:
    """Return what kind of element is at the path."""
    named = [part for part in path if isinstance(part, str)]
    kind: type[Element] = Sop
    for part in named:
        if part == "with":
            break
        kind = _ELEMENTS.get(part, kind) if kind in (Sop, Stage, Task) else kind
    return kind


def _field(path: Path) -> str:
    """Return the name of the field at the path: the last one that is a name."""
    if len(path) > 1 and path[-2] == "form":
        return "form"
    return next((part for part in reversed(path) if isinstance(part, str)), "sop")
