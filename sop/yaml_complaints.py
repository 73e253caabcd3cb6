"""What YAML itself complains about, in an author's words and with what to do."""

from __future__ import annotations

import re

from sop.errors import Problem
from sop.paths import Lines

_QUOTE = "Put the whole text in quotes, or write it under `|`."
_INDENT = "Line it up with its neighbours: two spaces for each level, and `- ` before each item of a list."

_KNOWN: tuple[tuple[str, str, str], ...] = (
    (r"mapping values are not allowed", "There is a `: ` where no field can begin.",
     "If it belongs to the text, put the text in quotes; if it is a field, correct the indentation."),
    (r"character '\\t'", "The line begins with a tab.", "Indent with spaces: two for each level."),
    (r"character '(.)' that cannot start", "Text cannot begin with {0}.", _QUOTE),
    (r"(?:while scanning a quoted scalar|unexpected end of stream|document separator)",
     "A quote is opened here and never closed.", "Close it; inside single quotes write '' for '."),
    (r"escape", "A backslash in double quotes is not followed by an escape that YAML knows.",
     "Write \\\\ for a backslash, or use single quotes."),
    (r"expected ',' or ('.'), but got", "A bracket is opened and not closed: {0} is missing.",
     "Close it, or write one item a line."),
    (r"while parsing a flow", "A bracket is opened and not closed.", "Close it, or write one item a line."),
    (r"expected <block end>, but found '<scalar>'", "Text goes on where a field should begin.",
     "Put the whole text in quotes, or indent it like the text above."),
    (r"expected <block end>|did not find expected", "The line is not where its list or field expects it.", _INDENT),
    (r"could not find expected ':'", "The line has no `: `.",
     "Write `field: value`, or indent it under the text above."),
    (r"while scanning (?:a|an) (?:alias|anchor)", "Text cannot begin with & or *.", _QUOTE),
    (r"while (?:parsing|scanning) (?:a|an) (?:tag|node)", "Text cannot begin with !.", _QUOTE),
    (r"while scanning a directive", "Lines that begin with % are not read here.", "Remove the line."),
    (r"while scanning a block scalar", "The text under `|` or `>` does not begin as it should.",
     "Write `|` alone on its line and indent what follows by two spaces."),
)  # fmt: skip


def explain(error: Exception, lines: Lines, source: str) -> Problem:
    """Turn what the YAML parser raised into a problem of the author's file."""
    message, next_step = _sentence(error)
    return Problem(source, _line(error, lines), message, next_step)


def _sentence(error: Exception) -> tuple[str, str]:
    said = " ".join(str(part) for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part)
    if getattr(error, "character", None) is not None:
        return (
            f"The character U+{_code_point(error):04X} cannot be in a YAML file.",
            "Remove it; it is invisible in most editors.",
        )
    for pattern, message, next_step in _KNOWN:
        found = re.search(pattern, said)
        if found:
            return message.format(*found.groups()), next_step
    return "This is not YAML.", "Look at this line and the one before: quotes, colons and indentation."


def _code_point(error: Exception) -> int:
    character: int | str | bytes = getattr(error, "character", 0)
    return character if isinstance(character, int) else ord(character[:1] or "\0")


def _line(error: Exception, lines: Lines) -> int:
    unclosed = getattr(error, "context_mark", None)
    mark = getattr(error, "problem_mark", None) or unclosed
    if "quoted scalar" in str(getattr(error, "context", "")) and unclosed is not None:
        mark = unclosed
    return lines.of(int(mark.index if mark is not None else getattr(error, "position", 0) or 0))
