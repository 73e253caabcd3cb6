"""What is not known of an SOP that could be read only in part."""

from __future__ import annotations

from dataclasses import dataclass

from sop.paths import Path


@dataclass(frozen=True, slots=True)
class Gaps:
    """What nobody may complain about, because it is only not known; nothing when all could be read.

    Attributes:
        broken: Elements that have been complained about.
        complete: Whether the keys of all tasks are known.
        unread: Keys of tasks of which it is not known what conditions may ask.
        loose: Tasks of which it is not known whether they have an action, an approval or a form.
        unordered: Stages of which it is not known which task waits for which.
    """

    broken: frozenset[Path] = frozenset()
    complete: bool = True
    unread: frozenset[str] = frozenset()
    loose: frozenset[Path] = frozenset()
    unordered: frozenset[int] = frozenset()

    def is_broken(self, path: Path) -> bool:
        """Say whether the element, or one around it, has been complained about."""
        return any(path[:length] in self.broken for length in range(len(path) + 1))


NONE = Gaps()
