"""What a plain YAML scalar means: the core schema of YAML 1.2 (section 10.3), without its traps.

So `no`, `on`, `12:30` and `2026-01-31` are text. Numbers that would lose something (`007`,
integers beyond 64 bits, infinity) are refused instead of changed.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Plain: TypeAlias = str | int | float | bool | None

_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 18


class BadScalar(ValueError):
    """The scalar would not mean what its author sees."""


def resolve(text: str) -> Plain:
    """Return the value of a plain (unquoted) scalar.

    Raises:
        BadScalar: it is a number that could not be kept as it is written.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _finite(text)
    if _OTHER_BASE.fullmatch(text):
        raise BadScalar(f"{_short(text)} is a number in another base")
    if _NO_NUMBER.fullmatch(text):
        raise BadScalar(f"{text} is not a number that can be used")
    return text


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits.startswith("0"):
        raise BadScalar(f"{_short(text)} would lose its leading zero")
    if len(digits) > _MAX_DIGITS:
        raise BadScalar(f"{_short(text)} is too large for a number")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise BadScalar(f"{_short(text)} is too large for a number")
    return number


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}…"  # noqa: PLR2004
