"""JSON Lines: the bodies as they are stored. The one format whose lines can be verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from case_store.audit.formats.record import Format, Record


@dataclass(frozen=True, slots=True)
class _JsonLines:
    name: str = "jsonl"
    suffix: str = ".jsonl"
    line_end: str = "\n"
    lines_stand_alone: bool = True

    def begin(self) -> str:
        return ""

    def line(self, record: Record) -> str:
        return record.body

    def end(self) -> str:
        return ""


FORMAT: Final[Format] = _JsonLines()
