"""What an answer says. Few words count, so that nobody does something by chance."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from case_store.clean import clean_text

Kind = Literal["stop", "start", "acknowledge", "decide", "comment", "other"]

LONGEST: Final = 2_000
"""Characters of an answer that are looked at and kept."""
_STOP: Final = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "stopp", "arret", "arrêt"})
_START: Final = frozenset({"start", "unstop"})
_MARKER: Final = re.compile(r"\[?\bC([0-9]{1,12})-([0-9A-F]{4})\b\]?", re.IGNORECASE)
_ACKNOWLEDGE: Final = re.compile(
    r"ack(?:nowledged?)?\s+"
    r"(?:(?:case[- ]?)?#?(?P<number>[0-9]{1,12})|\[?C(?P<of>[0-9]{1,12})-(?P<digits>[0-9A-F]{4})\]?)[.!]?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says.

    Attributes:
        kind: `stop` and `start`: messages by this channel; `acknowledge`; `decide`: what only mails are read for, and
            what no reply does; `comment`: it is about a message of ours; `other`: nothing that we know.
        case_number: The case that it names; None when it names none.
        digits: The digits of the marker that it names, in capitals; None when it names a case as a whole.
        text: What was written, cut and cleaned.
    """

    kind: Kind
    text: str
    case_number: int | None = None
    digits: str | None = None


def read(text: str) -> Said:
    """Return what an answer says."""
    text = clean_text(text[:LONGEST]).strip()
    word = text.strip(" .!\"'").lower()
    if word in _STOP | _START:
        return Said("stop" if word in _STOP else "start", text)
    if found := _ACKNOWLEDGE.fullmatch(text):
        digits = found["digits"]
        return Said("acknowledge", text, int(found["number"] or found["of"]), digits and digits.upper())
    if marked := _MARKER.search(text):
        return Said("comment", text, int(marked[1]), marked[2].upper())
    return Said("other", text)
