"""Where an element is in a document, and on which line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The way to an element: `("stages", 0, "tasks", 2, "when")`."""


def line_at(lines: Mapping[Path, int], path: Path) -> int:
    """Return the line of the element, or of the nearest element around it that is there."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)
