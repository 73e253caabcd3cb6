"""Text from elsewhere, made fit to stand in a header, a log line or a message. Escaping for HTML is not done here."""

from __future__ import annotations

import re
import unicodedata

# Direction marks can show "gpj.exe" as "exe.jpg" and turn a whole line round.
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NEWLINES = re.compile("\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")


def one_line(text: str, limit: int = 1000) -> str:
    """Give the text as one printable line of at most `limit` characters; a cut is shown by `...`.

    Line breaks and runs of blanks become one blank. Control characters, direction marks and lone surrogates go.
    """
    line = " ".join(_printable(_NEWLINES.sub(" ", text).replace("\t", " ")).split())
    if len(line) <= limit:
        return line
    return line[: max(limit - 3, 0)].rstrip() + "..."


def lines(text: str) -> str:
    """Give the text with plain newlines, without control characters other than tab, and ending in one newline."""
    return "\n".join(_printable(line) for line in _NEWLINES.split(text)).rstrip("\n") + "\n"


def defanged(text: str) -> str:
    """Give the text so that no mail program makes a link of it: `hxxps://evil[.]example`."""
    unlinked = re.sub(r"(?i)\bhttp(?=s?:)", "hxxp", text)
    return re.sub(r"(?<=\w)\.(?=\w)", "[.]", unlinked).replace("@", "[@]")


def _printable(text: str) -> str:
    if text.isprintable():  # the usual case, and quick; marks and lone surrogates are not printable
        return text
    whole = text.encode("utf-8", "replace").decode()
    return "".join(
        mark for mark in whole if mark == "\t" or (unicodedata.category(mark) != "Cc" and mark not in _DIRECTION)
    )
