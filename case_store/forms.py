"""Checks the answers to a task's form against the SOP the case is pinned to. Pure.

Answers come from the Prefect UI (typed), from the command line (all text) and from mails to come; each is read into the
one JSON value that conditions, views and the audit trail see. Every problem is said at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from case_store.clean import clean_text
from case_store.errors import StoreError
from sop.model import FormField

Answer = None | bool | int | float | str | list[str]
Form = Mapping[str, FormField]

MAX_TEXT: Final = 1_000
MAX_LONGTEXT: Final = 50_000
_LARGEST: Final = 2**53 - 1
_YES: Final = {"yes", "true", "1", "on"}
_NO: Final = {"no", "false", "0", "off"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one answer.

    Attributes:
        field: The name of its field.
        kind: A key of `WRONG`.
        facts: What the words of that kind name.
    """

    field: str
    kind: str
    facts: Mapping[str, object]

    @property
    def words(self) -> str:
        """Return it in English, without the field."""
        return WRONG[self.kind].format(**self.facts)


class FormRefused(StoreError):
    """The answers do not fit the form."""

    next_step = "correct the fields named above and send the form again; nothing was recorded"

    def __init__(self, problems: Sequence[str], faults: Sequence[Fault] = ()) -> None:
        """Refuse with every problem, each beginning with the name of its field; `faults` are for other languages."""
        self.problems, self.faults = list(problems), tuple(faults)
        super().__init__("\n".join(problems))


WRONG: Final[Mapping[str, str]] = {
    "no_such_field": "the form has no such field; it has {fields}",
    "needed": "an answer is required",
    "needed_of": "an answer is required, one of: {options}",
    "no_line": "must be one line of printable text",
    "no_option": "{value} is not one of: {options}",
    "no_yes_or_no": "answer yes or no",
    "no_number": "must be a number",
    "no_date": "must be a date such as 2026-01-31",
    "no_moment": "must be a time with its offset from UTC, such as 2026-01-31T09:30:00+01:00",
    "no_text": "must be text",
    "too_long": "has {length} characters; at most {limit} are kept",
    "unkeepable": "holds a character that cannot be kept (NUL or half of a surrogate pair)",
}
"""What can be wrong with an answer, in English."""


class _Wrong(ValueError):
    """This answer does not fit its field."""

    def __init__(self, kind: str, **facts: object) -> None:
        self.kind, self.facts = kind, facts
        super().__init__(kind)


def read(form: Form, values: Mapping[str, object]) -> dict[str, Answer]:
    """Return one JSON value for every field of the form, None where a voluntary one was not answered.

    Text from a command line is read as the field's type: `yes`, `3.5`, `a, b` for several choices, ISO 8601 times.

    Raises:
        FormRefused: With every problem.
    """
    there = ", ".join(form) or "no fields"
    faults = [Fault(name, "no_such_field", {"fields": there}) for name in values if name not in form]
    answers: dict[str, Answer] = {}
    for name, field in form.items():
        try:
            answers[name] = _answer(field, values.get(name))
        except _Wrong as wrong:
            faults.append(Fault(name, wrong.kind, wrong.facts))
    if faults:
        raise FormRefused([f"{fault.field}: {fault.words}" for fault in faults], faults)
    return answers


def json_schema(form: Form) -> dict[str, object]:
    """Describe the form as a JSON Schema object, from which a user interface can draw it."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in form.items() if field.required],
        "properties": {name: _property(name, field) for name, field in form.items()},
    }


def label_of(name: str, field: FormField) -> str:
    """Return what people read as the question of a field."""
    return field.label or name.replace("_", " ").capitalize()


def _property(name: str, field: FormField) -> dict[str, object]:
    described: dict[str, object] = {"title": label_of(name, field), **_SCHEMAS[field.type]}
    if field.help:
        described["description"] = field.help
    if field.type == "choice":
        described["enum"] = list(field.options)
    if field.type == "multichoice":
        described["items"] = {"type": "string", "enum": list(field.options)}
    return described


_SCHEMAS: Final[dict[str, dict[str, object]]] = {
    "text": {"type": "string", "maxLength": MAX_TEXT},
    "longtext": {"type": "string", "format": "multiline", "maxLength": MAX_LONGTEXT},
    "choice": {"type": "string"},
    "multichoice": {"type": "array", "uniqueItems": True},
    "yesno": {"type": "boolean"},
    "number": {"type": "number"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
}


def _answer(field: FormField, value: object) -> Answer:
    if value is None or value == [] or (isinstance(value, str) and not value.strip()):
        if field.required:
            raise _Wrong("needed_of", options=", ".join(field.options)) if field.options else _Wrong("needed")
        return None
    return _READERS[field.type](field, value)


def _text(_: FormField, value: object) -> str:
    text = _string(value, MAX_TEXT).strip()
    if any(not char.isprintable() for char in text):
        raise _Wrong("no_line")
    return text


def _longtext(_: FormField, value: object) -> str:
    return _string(value, MAX_LONGTEXT).replace("\r\n", "\n").strip()


def _choice(field: FormField, value: object) -> str:
    if value in field.options:
        return str(value)
    raise _Wrong("no_option", value=repr(str(value)[:80]), options=", ".join(field.options))


def _multichoice(field: FormField, value: object) -> list[str]:
    if isinstance(value, str) and value not in field.options:
        value = [part.strip() for part in value.split(",") if part.strip()]
    chosen = value if isinstance(value, list | tuple) else [value]
    wanted = {_choice(field, item) for item in chosen}
    return [option for option in field.options if option in wanted]


def _yesno(_: FormField, value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in _YES | _NO:
        raise _Wrong("no_yes_or_no")
    return word in _YES


def _number(_: FormField, value: object) -> int | float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= _LARGEST:  # false for NaN too
        raise _Wrong("no_number")
    return int(number) if number.is_integer() else number


def _date(_: FormField, value: object) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    try:
        return date.fromisoformat(_string(value, MAX_TEXT).strip()).isoformat()
    except ValueError:
        raise _Wrong("no_date") from None


def _datetime(_: FormField, value: object) -> str:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(_string(value, MAX_TEXT).strip())
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        pass
    raise _Wrong("no_moment")


def _string(value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise _Wrong("no_text")
    if len(value) > limit:
        raise _Wrong("too_long", length=len(value), limit=limit)
    if clean_text(value) != value:
        raise _Wrong("unkeepable")
    return value


_READERS: Final[dict[str, Callable[[FormField, object], Answer]]] = {
    "text": _text,
    "longtext": _longtext,
    "choice": _choice,
    "multichoice": _multichoice,
    "yesno": _yesno,
    "number": _number,
    "date": _date,
    "datetime": _datetime,
}
