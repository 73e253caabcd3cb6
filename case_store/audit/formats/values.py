"""Values of events, as other formats can carry them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

PRODUCT: Final = "Casewright"
WITHHELD: Final = "(withheld)"
"""What stands for a personal value of which the event has the digest alone."""

_DIGEST: Final = "_sd"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_as_ordered = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)

# What some reader takes for the end of a line, or a terminal for a command: the controls of C0 and C1, DEL, and the
# separators of Unicode.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@cache
def product_version() -> str:
    """Return our version."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - every command imports this file

    try:
        return version("casewright")
    except PackageNotFoundError:
        return "unknown"


def shown(value: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    """Return a JSON value with every withheld one in it said to be so."""
    if isinstance(value, dict):
        if len(value) == 1 and _DIGEST in value:
            return WITHHELD
        return {name: shown(item) for name, item in value.items()}
    return [shown(item) for item in value] if isinstance(value, list) else value


def as_json(value: Any) -> str:  # noqa: ANN401
    """Return a value as JSON text on one line, withheld ones said to be so."""
    return visible(_encoder.encode(shown(value)))


def text(value: Any) -> str:  # noqa: ANN401
    """Return a value as text: text as it is, nothing for None, everything else as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    told = shown(value)
    return told if isinstance(told, str) else _encoder.encode(told)


def json_line(document: object) -> str:
    """Return a document as JSON on one line, its fields in the order they have."""
    return visible(_as_ordered.encode(document))


def visible(line: str) -> str:
    """Return the text with each control character and separator of lines spelt out, as JSON does it."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def cut(line: str, most: int) -> str:
    """Return at most so many characters; where something is left out, the end says so."""
    return line if len(line) <= most else line[: most - 1] + "…"


def milliseconds(ts: str) -> int:
    """Return the time of an event in milliseconds since 1970."""
    return (datetime.fromisoformat(ts) - _EPOCH) // _MILLISECOND
