"""What a sink is given, and what it promises."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from case_store.errors import StoreError

WITHIN: Final = 20.0
"""Seconds that one delivery may take; a lease outlasts it."""


class SinkDown(StoreError):
    """The sink did not take what it was given; perhaps it took some of it."""

    next_step = "mend it and look again: casewright audit sinks; nothing is lost, delivery goes on by itself"


@dataclass(frozen=True, slots=True)
class Line:
    """One line on its way out.

    Attributes:
        text: The line, without a line end.
        at: When what it tells of happened.
        type: What it tells of, as a word: the type of the event.
        facts: What a syslog header says beside that.
        is_syslog: The text is a whole RFC 5424 message already.
    """

    text: str
    at: datetime
    type: str
    facts: Mapping[str, str]
    is_syslog: bool = False


class Sink(Protocol):
    """A place outside. It tries once, keeps nothing open, and blocks: whoever calls gives it a thread."""

    def deliver(self, lines: Sequence[Line]) -> None:
        """Take all lines, in their order.

        Raises:
            SinkDown: It did not take them, or nobody knows whether it did.
        """
        ...


class Deadline:
    """The end of the time that a delivery has."""

    def __init__(self, seconds: float = WITHIN) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: None are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("took too long")
        return left
