"""Words for messages: text shown safely, lists read aloud, and the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 60
_MANY = 16


def shown(value: object) -> str:
    """Return the value on one line, short enough for a message and without control characters."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def listed(names: Iterable[str], last: str = "and") -> str:
    """Return `a, b and c`."""
    *others, final = list(names) or ["none"]
    return f"{', '.join(others)} {last} {final}" if others else final


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, or None when nothing is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - only needed once something is wrong

    by_letters = {one.lower(): one for one in known}
    found = get_close_matches(name.lower(), by_letters, n=1, cutoff=0.6)
    return by_letters[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str], what: str) -> str:
    """Return a next step: the probable name, or what there is to choose from."""
    names = sorted(known)
    meant = closest(name, names)
    if meant is not None:
        return f"Did you mean {meant!r}?"
    if len(names) > _MANY:
        return f"There are the {what} {', '.join(names[:_MANY])} and {len(names) - _MANY} more."
    return f"There are the {what} {listed(names)}." if names else f"There are no {what} here."
