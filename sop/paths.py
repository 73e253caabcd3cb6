"""Where an element is in a document, and on which line."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The way to an element: `("stages", 0, "tasks", 2, "when")`."""


class Lines:
    """The lines of a text as editors count them; YAML also counts characters that nobody sees."""

    def __init__(self, text: str) -> None:
        self._starts = [found.end() for found in re.finditer(r"\r\n|\r|\n", text)]

    def of(self, index: int) -> int:
        """Return the line, from 1, of the character at this index."""
        return bisect_right(self._starts, index) + 1


def line_at(lines: Mapping[Path, int], path: Path) -> int:
    """Return the line of the element, or of the nearest element around it that is there."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)
