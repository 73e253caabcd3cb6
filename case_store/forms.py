"""Checks the answers to a task's form against the SOP the case is pinned to. Pure.

Answers come from the Prefect UI (typed), from the command line (all text) and from mails to come; each is read into the
one JSON value that conditions, views and the audit trail see. Every problem is said at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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


class FormRefused(StoreError):
    """The answers do not fit the form."""

    next_step = "correct the fields named above and send the form again; nothing was recorded"

    def __init__(self, problems: list[str]) -> None:
        """Refuse with every problem, each beginning with the name of its field."""
        self.problems = problems
        super().__init__("\n".join(problems))


class _Wrong(ValueError):
    """This answer does not fit its field; the text says why."""


def read(form: Form, values: Mapping[str, object]) -> dict[str, Answer]:
    """Return one JSON value for every field of the form, None where a voluntary one was not answered.

    Text from a command line is read as the field's type: `yes`, `3.5`, `a, b` for several choices, ISO 8601 times.

    Raises:
        FormRefused: With every problem.
    """
    problems = [
        f"{name}: the form has no such field; it has {', '.join(form) or 'no fields'}"
        for name in values
        if name not in form
    ]
    answers: dict[str, Answer] = {}
    for name, field in form.items():
        try:
            answers[name] = _answer(field, values.get(name))
        except _Wrong as wrong:
            problems.append(f"{name}: {wrong}")
    if problems:
        raise FormRefused(problems)
    return answers


def json_schema(form: Form) -> dict[str, object]:
    """Describe the form as a JSON Schema object, from which a user interface can draw it."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in form.items() if field.required],
        "properties": {name: _property(name, field) for name, field in form.items()},
    }


def _property(name: str, field: FormField) -> dict[str, object]:
    described: dict[str, object] = {"title": field.label or name.replace("_", " ").capitalize(), **_SCHEMAS[field.type]}
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
            raise _Wrong("an answer is required" + (f", one of: {', '.join(field.options)}" if field.options else ""))
        return None
    return _READERS[field.type](field, value)


def _text(_: FormField, value: object) -> str:
    text = _string(value, MAX_TEXT).strip()
    if any(not char.isprintable() for char in text):
        raise _Wrong("must be one line of printable text")
    return text


def _longtext(_: FormField, value: object) -> str:
    return _string(value, MAX_LONGTEXT).replace("\r\n", "\n").strip()


def _choice(field: FormField, value: object) -> str:
    if value in field.options:
        return str(value)
    raise _Wrong(f"{str(value)[:80]!r} is not one of: {', '.join(field.options)}")


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
        raise _Wrong("answer yes or no")
    return word in _YES


def _number(_: FormField, value: object) -> int | float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= _LARGEST:  # false for NaN too
        raise _Wrong("must be a number")
    return int(number) if number.is_integer() else number


def _date(_: FormField, value: object) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    try:
        return date.fromisoformat(_string(value, MAX_TEXT).strip()).isoformat()
    except ValueError:
        raise _Wrong("must be a date such as 2026-01-31") from None


def _datetime(_: FormField, value: object) -> str:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(_string(value, MAX_TEXT).strip())
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        pass
    raise _Wrong("must be a time with its offset from UTC, such as 2026-01-31T09:30:00+01:00")


def _string(value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise _Wrong("must be text")
    if len(value) > limit:
        raise _Wrong(f"has {len(value)} characters; at most {limit} are kept")
    if clean_text(value) != value:
        raise _Wrong("holds a character that cannot be kept (NUL or half of a surrogate pair)")
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
