"""Durations the way people write them: `30m`, `1h`, `2d`, `1h30m`."""

from __future__ import annotations

import re
from datetime import timedelta

PATTERN = r"^(?=[0-9])([0-9]{1,4}d)?([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$"

_SHAPE = re.compile(PATTERN.replace("$", r"\Z"))
_UNITS = ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)


def parse_duration(text: str) -> timedelta:
    """Read a duration.

    Raises:
        ValueError: the text is not days, hours, minutes and seconds in that order, or is zero.
    """
    found = _SHAPE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not a duration")
    parts = [int(part[:-1]) if part else 0 for part in found.groups()]
    total = sum(count * seconds for count, (_, seconds) in zip(parts, _UNITS, strict=True))
    if total == 0:
        raise ValueError(f"{text!r} is no time at all")
    return timedelta(seconds=total)


def format_duration(duration: timedelta) -> str:
    """Write a duration so that `parse_duration` reads the same again, to the second."""
    rest = int(duration.total_seconds())
    text = ""
    for unit, seconds in _UNITS:
        count, rest = divmod(rest, seconds)
        if count:
            text += f"{count}{unit}"
    return text or "0s"
