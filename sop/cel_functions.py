"""The functions that conditions have beyond CEL's own.

They never raise: the CEL library would print a traceback of its own. What does not fit yields
null, which then fits nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


def first(observables: object, kind: object) -> object:
    """Return the first observable of a type, or null: `observables.first("ip")`."""
    values = _of_kind(observables, kind)
    return values[0] if values else None


def every(observables: object, kind: object) -> list[object]:
    """Return all observables of a type: `observables.all("ip")`."""
    return _of_kind(observables, kind)


def join(values: object, separator: object = ", ") -> str | None:
    """Return the values as one text: `observables.all("ip").join(", ")`."""
    if not isinstance(values, list) or not isinstance(separator, str):
        return None
    return separator.join(str(value) for value in values)


def lower_ascii(text: object) -> str | None:
    """Return the text with A to Z as a to z: `alert.title.lowerAscii()`."""
    if not isinstance(text, str):
        return None
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def _of_kind(observables: object, kind: object) -> list[object]:
    values = observables.get(kind) if isinstance(observables, Mapping) and isinstance(kind, str) else None
    return list(values) if isinstance(values, list | tuple) else []


FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "first": first, "all": every, "join": join, "lowerAscii": lower_ascii,
}  # fmt: skip

BUILT_IN = frozenset({
    "size", "contains", "startsWith", "endsWith", "matches", "string", "int", "uint", "double", "bytes", "timestamp",
    "duration", "dyn", "type", "has", "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek",
    "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds",
    "all", "exists", "exists_one", "existsOne", "map", "filter",
})  # fmt: skip
"""The functions and loops of CEL that the library has."""

SYNONYMS: Mapping[str, str] = {
    "lower": "lowerAscii", "tolower": "lowerAscii", "tolowercase": "lowerAscii", "len": "size", "length": "size",
    "count": "size", "includes": "contains", "any": "exists", "some": "exists", "every": "all", "str": "string",
    "tostring": "string", "float": "double", "test": "matches", "match": "matches", "search": "matches",
}  # fmt: skip
"""What other languages call them, in small letters without underscores."""
