"""A rule of the SOP format that is not kept, and where."""

from __future__ import annotations

from dataclasses import dataclass

from sop.paths import Path


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that the element at the path does not keep."""

    path: Path
    message: str
    next_step: str
