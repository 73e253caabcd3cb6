"""Which state may follow which, for cases, stages and tasks.

Pure tables: no database, no clock, no person. The verbs ask `check` before they change a state, so a
state that is not in the table cannot be reached from anywhere in the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from case_store.errors import StoreError

Kind = Literal["case", "stage", "task"]
Table = Mapping[str, frozenset[str]]


class NotAllowedNow(StoreError):
    """The state it is in does not allow this step."""

    next_step = "look at its present state first: casewright case show NUMBER"


def _table(**rows: str) -> Table:
    return {state: frozenset(followers.split()) for state, followers in rows.items()}


CASE: Final = _table(open="closed cancelled", closed="", cancelled="")
STAGE: Final = _table(
    waiting="active done not_applicable cancelled",
    active="done cancelled",
    done="",
    not_applicable="",
    cancelled="",
)
# `open -> waiting` is an approval that was given and whose action has still to run; `running -> running` is an
# idempotent action begun again after its process died. `unknown_outcome` never goes to `running` by itself: only a
# person may say that it is safe to do the thing a second time, and that is `waiting`.
TASK: Final = _table(
    waiting="open running skipped not_applicable cancelled",
    open="done rejected waiting skipped cancelled",
    running="running done failed unknown_outcome cancelled",
    failed="running waiting done skipped cancelled",
    unknown_outcome="waiting done skipped cancelled",
    done="",
    rejected="",
    skipped="",
    not_applicable="",
    cancelled="",
)
TABLES: Final[Mapping[Kind, Table]] = {"case": CASE, "stage": STAGE, "task": TASK}

REOPENED: Final[Mapping[Kind, Table]] = {
    "case": _table(closed="open", cancelled="open"),
    "stage": _table(cancelled="waiting active"),
    "task": _table(cancelled="waiting"),
}
"""What re-opening a case may undo. Nothing else leads out of a closed state."""

CLOSED: Final[Mapping[Kind, frozenset[str]]] = {
    kind: frozenset(state for state, followers in table.items() if not followers) for kind, table in TABLES.items()
}
ASKS_A_PERSON: Final = frozenset({"open", "failed", "unknown_outcome"})
"""Task states that do not change unless somebody decides."""


def closed(kind: Kind, state: str) -> bool:
    """Say whether nothing more happens in this state unless the case is re-opened."""
    return state in CLOSED[kind]


def allowed(kind: Kind, before: str, after: str, *, reopening: bool = False) -> bool:
    """Say whether `after` may follow `before`."""
    table = REOPENED[kind] if reopening else TABLES[kind]
    return after in table.get(before, frozenset())


def check(kind: Kind, before: str, after: str, *, name: str, reopening: bool = False) -> None:
    """Refuse what the table does not allow.

    Args:
        kind: What changes its state.
        before: The state it is in.
        after: The state it should get.
        name: How to call the thing in the refusal, such as "task 'block' of CASE-12".
        reopening: The case is being re-opened, which alone may leave a closed state.

    Raises:
        NotAllowedNow: The table does not allow it.
    """
    if allowed(kind, before, after, reopening=reopening):
        return
    table = REOPENED[kind] if reopening else TABLES[kind]
    followers = ", ".join(sorted(table.get(before, ()))) or "nothing"
    raise NotAllowedNow(f"{name} is {before} and cannot become {after} (possible from here: {followers})")
