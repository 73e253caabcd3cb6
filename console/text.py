"""The one way by which words from outside reach a terminal.

Titles, notes and alert fields are hostile: they may hold terminal escapes, rich markup or
characters that turn the reading direction. Here they become harmless and stay readable.
"""

import unicodedata
from datetime import UTC, datetime

from rich.text import Text

_KEPT = frozenset("\n")
# Cc: terminal escapes. Cf: direction overrides, zero-width and tag characters. Cs: lone
# surrogates. Co/Cn are left alone: they show as a box and do nothing.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return the text with every character that acts instead of showing written as an escape.

    Args:
        text: Words from a case, an alert or a file name.
        lines: Keep line breaks (for bodies of notes and instructions); else they show as ``\n``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(char, keep_lines=lines) for char in text)


def _shown(char: str, *, keep_lines: bool) -> str:
    if keep_lines and char in _KEPT:
        return char
    if unicodedata.category(char) not in _HIDDEN:
        return char
    return char.encode("unicode_escape").decode("ascii")


def plain(value: object, style: str = "") -> Text:
    """Return a table cell that rich prints as it is: no markup, no control characters."""
    return Text(words(value), style=style)


def words(value: object) -> str:
    """Say a value as a person reads it: times in UTC to the minute, lists with commas, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return moment(value)[:16] + "Z"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(words(part) for part in value)
    return visible(str(value))


def moment(at: datetime) -> str:
    """Say a time to the second, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def seconds(number: int | None) -> str:
    """Say a time in seconds with its two greatest units, such as 3h 20m; nothing for None."""
    if number is None:
        return ""
    parts: list[str] = []
    rest = number
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


def numbered(count: int, one: str, many: str | None = None) -> str:
    """Say how many there are of something, such as `1 event` and `2 events`.

    Args:
        count: How many.
        one: What one of them is called.
        many: What several are called, where that is not `one` with an s.
    """
    return f"{count} {one if count == 1 else many or f'{one}s'}"
