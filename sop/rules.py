"""How the elements of an SOP go together: keys, dependencies, and what a task may combine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sop.model import Sop
from sop.paths import Path


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that an element does not keep."""

    path: Path
    message: str
    next_step: str


def broken_rules(sop: Sop) -> Iterator[Broken]:
    """Yield every rule that the SOP does not keep."""
    return iter(())
