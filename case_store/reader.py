"""Somebody who reads: what is hidden from them, and what they met of what is not for everybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.orm import Session

_KEY: Final = "reader"
WHATEVER_IS_HIDDEN: Final = "whatever_is_hidden"
"""Execution option of a query that is to find hidden rows too: whoever asks compares with the reader."""


@dataclass
class Reader:
    """Somebody who reads in one transaction.

    Attributes:
        hidden: Ids of the cases that they may not see.
        rows: Ids of alerts and evidence that belong to those; what came in had its events before it had a case.
        seen: Ids of the restricted cases that they were shown.
        refused: Ids of the hidden cases that they asked for.
        looks: Queries leave hidden rows out. Whoever changes something needs all rows, and names what it changes.
    """

    hidden: frozenset[str] = frozenset()
    rows: frozenset[str] = frozenset()
    seen: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    looks: bool = True

    def may_see(self, case_id: str | None) -> bool:
        """Tell whether they may see what belongs to a case that they ask for; notes it when not."""
        if case_id not in self.hidden:
            return True
        self.refused.add(str(case_id))
        return False


def of(session: Session) -> Reader | None:
    """Return who reads in a session; None: somebody from whom nothing is hidden."""
    found = session.info.get(_KEY)
    return found if isinstance(found, Reader) else None


def put(session: Session, reader: Reader) -> None:
    """Have the rest of a session's transaction read by somebody."""
    session.info[_KEY] = reader
