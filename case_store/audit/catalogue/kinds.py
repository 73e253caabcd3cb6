"""What the catalogue says of one kind of event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

ID: Final = "id"
TEXT: Final = "text"
LIST: Final = "list of texts"
MAP: Final = "map"
COUNT: Final = "whole number"
FLAG: Final = "true or false"
TIME: Final = "time (RFC 3339)"
SHA256: Final = "SHA-256 (hexadecimal)"

IsPersonal = Literal["no", "yes", "sometimes"]
Change = Literal["create", "read", "update", "delete", "begin", "end", "suspend", "resume", "login", "other"]
Outcome = Literal["success", "failure", "unknown"]

_TYPE: Final = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Sense:
    """What a kind of event means to those who know nothing of cases: what kind of change it is, and how it went."""

    change: Change
    outcome: Outcome = "success"

    @property
    def failed(self) -> Sense:
        """The same change, which somebody wanted and did not get."""
        return Sense(self.change, "failure")

    @property
    def unknown(self) -> Sense:
        """The same change, of which nobody knows yet how it went."""
        return Sense(self.change, "unknown")


CREATE: Final = Sense("create")
READ: Final = Sense("read")
UPDATE: Final = Sense("update")
DELETE: Final = Sense("delete")
BEGIN: Final = Sense("begin")
END: Final = Sense("end")
SUSPEND: Final = Sense("suspend")
RESUME: Final = Sense("resume")
LOGIN: Final = Sense("login")
"""Somebody shows who they are, by what only they were sent."""
OTHER: Final = Sense("other")


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of an event.

    Attributes:
        name: Its key in the event.
        form: What its value is: a type, and the unit where it has one. Any fact may also be null.
        meaning: What it says, in words.
        personal: Whether the event holds a commitment in its place, which an erasure empties.
    """

    name: str
    form: str
    meaning: str
    personal: IsPersonal = "no"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event.

    Attributes:
        type: Its name, `thing.happened`.
        sense: What kind of change it is and how it went, where the event itself says no more (see `formats.meaning`).
        meaning: What has happened when there is such an event: one sentence.
        about: The kinds of row that its entity may be; empty when it is about no row and only its facts tell.
        streams: The streams that it may go to: `case`, `person`, `system`.
        facts: Its facts, by name. An event need not have all of them.
    """

    type: str
    sense: Sense
    meaning: str
    about: frozenset[str]
    streams: frozenset[str]
    facts: Mapping[str, Fact]


def kind(
    event_type: str,
    sense: Sense,
    meaning: str,
    /,
    *facts: Fact,
    about: str | Iterable[str] = (),
    streams: str | Iterable[str] = (),
) -> Kind:
    """Describe a kind of event.

    Args:
        event_type: Its name, `thing.happened`.
        sense: What kind of change it is, and how it went.
        meaning: What has happened, in one sentence.
        facts: What its facts may be.
        about: The kinds of row that it may be about; none when it only has facts.
        streams: Where it goes to; by default the stream of a case, or of a person where it is about one, or the
            system's where it is about no row.

    Raises:
        ValueError: The name has another form, or a fact is there twice.
    """
    if not _TYPE.fullmatch(event_type):
        raise ValueError(f"{event_type!r} is not the type of an event: write it like case.opened")
    named = {fact.name: fact for fact in facts}
    if len(named) != len(facts):
        raise ValueError(f"{event_type} has a fact twice")
    rows = _all(about)
    default = ("person" if rows == {"person"} else "case") if rows else "system"
    return Kind(event_type, sense, meaning, rows, _all(streams or default), MappingProxyType(named))


def _all(names: str | Iterable[str]) -> frozenset[str]:
    return frozenset((names,) if isinstance(names, str) else names)
