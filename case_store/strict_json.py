"""JSON from outside, read strictly: RFC 8259, and ambiguous or oversized documents refused with a reason."""

from __future__ import annotations

import json
import math
import re
from typing import Final, NoReturn, TypeAlias

from case_store.clean import clean_text
from case_store.errors import StoreError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 32
MAX_KEYS: Final = 5_000
MAX_DOCUMENTS: Final = 1_000
_SAFE_INTEGER: Final = 2**53 - 1
_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|([\[{])|([\]}])', re.DOTALL)


class JsonRefused(StoreError):
    """This is not JSON that can be trusted to mean one thing."""

    next_step = "send the document again as plain JSON (RFC 8259) in UTF-8, at most 1 MiB and 32 levels deep"


def documents(raw: bytes) -> list[tuple[str, Json]]:
    """Read one JSON value, the members of a list of them, or one value to a line.

    Returns:
        Each value with its place, such as "line 3" or "item 2".

    Raises:
        JsonRefused: Too big, too deep, not UTF-8, not JSON, a key twice, NaN or Infinity.
    """
    text = _decode(raw)
    lines = [(f"line {number}", line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) > 1 and all(line.lstrip().startswith("{") and line.rstrip().endswith("}") for _, line in lines):
        return _limited([(where, loads(line, where)) for where, line in lines])
    value = loads(text, "document") if lines else []
    if isinstance(value, list):
        return _limited([(f"item {number}", item) for number, item in enumerate(value, 1)])
    return [("document", value)]


def loads(text: str, where: str = "document") -> Json:
    """Read one JSON value; NUL and lone surrogates inside its strings become U+FFFD, as no database takes them.

    Raises:
        JsonRefused: See `documents`.
    """
    _check_depth(text, where)
    reader = _Reader(where)
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=reader.pairs,
            parse_constant=reader.constant,
            parse_float=reader.number,
            parse_int=reader.integer,
        )
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}" if where == "document" else where
        raise JsonRefused(f"{line}, column {error.colno}: {error.msg}") from None
    return _storable(value)


class _Reader:
    """The hooks of one `json.loads`, sharing its place and its count of keys."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._keys = 0

    def pairs(self, pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        result: dict[str, Json] = {}
        self._keys += len(pairs)
        if self._keys > MAX_KEYS:
            self._refuse(f"more than {MAX_KEYS} keys")
        for key, value in pairs:
            clean = clean_text(key)
            if clean in result:
                self._refuse(f"the key {clean!r} occurs twice in one object, so it has no single meaning")
            result[clean] = value
        return result

    def constant(self, text: str) -> NoReturn:
        self._refuse(f"{text} is not a JSON number")

    def number(self, text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            self._refuse(f"the number {text[:40]} is too large")
        return value

    def integer(self, text: str) -> int | str:
        # RFC 8259, section 6: beyond 2^53-1 readers disagree about the value. Real alerts hold such numbers (Windows
        # file times), so they are kept digit by digit, as text.
        short = len(text) <= len(str(_SAFE_INTEGER)) + 1
        return value if short and abs(value := int(text)) <= _SAFE_INTEGER else text

    def _refuse(self, reason: str) -> NoReturn:
        raise JsonRefused(f"{self._where}: {reason}")


def _decode(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise JsonRefused(f"document: {len(raw)} bytes are more than the {MAX_BYTES} that are taken")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JsonRefused(f"document: byte {error.start} is not UTF-8") from None


def _check_depth(text: str, where: str) -> None:
    """Count brackets outside strings before the parser sees them: its own recursion would end in an exception."""
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += (match[1] is not None) - (match[2] is not None)
        if depth > MAX_DEPTH:
            raise JsonRefused(f"{where}: nested more than {MAX_DEPTH} levels deep")


def _storable(value: Json) -> Json:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {key: _storable(item) for key, item in value.items()}
    return value


def _limited(found: list[tuple[str, Json]]) -> list[tuple[str, Json]]:
    if len(found) > MAX_DOCUMENTS:
        raise JsonRefused(f"document: {len(found)} values are more than the {MAX_DOCUMENTS} that are taken at once")
    return found
