"""What an action is given, and what it gives back.

    @action(name="mail.block_sender", idempotent=True, title="Block a sender")
    async def block_sender(context: ActionContext, address: str) -> Result: ...

An action never touches the case store. It reads through its context and returns a `Result`; the engine attaches all of
it to the case in the one transaction that also records how the action ended. Try it out without an engine with
`flows.actions.testing`; reach other machines with `flows.actions.web`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol, get_args

from sop.actions import action

__all__ = [
    "ActionContext",
    "ActionFailed",
    "Attachment",
    "BadResult",
    "CaseFacts",
    "EvidenceFacts",
    "OutcomeUnknown",
    "Result",
    "Severity",
    "TryAgain",
    "action",
]

Severity = Literal["informational", "low", "medium", "high", "critical"]

MAX_FIELDS: Final = 64 * 1024
MAX_READ: Final = 32 * 1024 * 1024
# What conditions find under `tasks.KEY` besides the fields; a field of such a name would be hidden by it.
_RESERVED: Final = frozenset({"state", "decision", "note"})


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What an action may know of its case."""

    id: str
    number: int
    title: str
    severity: Severity
    sop: str


@dataclass(frozen=True, slots=True)
class EvidenceFacts:
    """A piece of evidence; `size` in bytes, `media_type` as its bytes suggest."""

    id: str
    name: str
    sha256: str
    size: int
    media_type: str


class ActionContext(Protocol):
    """Where an action runs, and what it can read."""

    @property
    def case(self) -> CaseFacts:
        """The case."""
        ...

    @property
    def task_key(self) -> str:
        """The task's key in the SOP."""
        ...

    @property
    def task_id(self) -> str:
        """The task's id."""
        ...

    @property
    def execution(self) -> int:
        """Number of this execution of the task, from 1; hand it on, with the task's id, as an idempotency key."""
        ...

    @property
    def at(self) -> datetime:
        """When the execution began."""
        ...

    @property
    def config(self) -> Mapping[str, str]:
        """Settings: the environment variables `CASEWRIGHT_ACTION_...`, by the rest of the name."""
        ...

    async def evidence_list(self) -> list[EvidenceFacts]:
        """Return all evidence of the case, the oldest first."""
        ...

    async def evidence(self, evidence_id: str) -> EvidenceFacts:
        """Return one piece of evidence of the case.

        Raises:
            ActionFailed: The case has no such evidence.
        """
        ...

    async def read(self, evidence_id: str, limit: int = MAX_READ) -> bytes:
        """Return the bytes of a piece of evidence.

        Raises:
            ActionFailed: The case has no such evidence, or it has more than `limit` bytes.
        """
        ...

    def open(self, evidence: EvidenceFacts) -> BinaryIO:
        """Open a piece of evidence for reading, whatever its size."""
        ...


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to attach to the case: its bytes, or where they lie on disk."""

    name: str
    content: bytes | Path
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What an action found.

    Attributes:
        fields: Small JSON values by name, 64 KiB in all. Conditions read them as `tasks.KEY.FIELD`.
        evidence: Files to attach.
        observables: Pairs of type and value, such as `("ip", "192.0.2.7")`.
        notes: Notes to add to the case.
        severity: The case's new severity; None leaves it.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    evidence: Sequence[Attachment] = ()
    observables: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    severity: Severity | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot go on record here, where the action's author sees which line returned it."""
        for name in self.fields:
            if not name.isidentifier() or name in _RESERVED:
                raise BadResult(f"no field can be called {name!r}: a condition could not name it")
        try:
            size = len(json.dumps(self.fields, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise BadResult(f"the fields are not JSON: {error}") from error
        if size > MAX_FIELDS:
            step = "attach the bulk as evidence and return as fields only what conditions need"
            raise BadResult(f"the fields take {size} bytes; at most {MAX_FIELDS} are kept", next_step=step)
        if self.severity is not None and self.severity not in get_args(Severity):
            raise BadResult(f"{self.severity!r} is no severity; there are {', '.join(get_args(Severity))}")


class ActionError(Exception):
    """An action ended without a result."""

    next_step = "look at the reason, then retry the task, do it by hand, or skip it"

    def __init__(self, reason: str, *, next_step: str | None = None) -> None:
        super().__init__(reason)
        self.next_step = next_step or self.next_step

    def diagnostics(self) -> str:
        """Return the reason and the next step, as a person reads them."""
        return f"{self}\n  next: {self.next_step}"


class ActionFailed(ActionError):
    """It did not happen, and trying the same again is pointless."""


class BadResult(ActionError):
    """The action returned something that cannot go on record; what it did, it did."""

    next_step = "correct the action: flows.actions.contract.Result says what it may return"


class TryAgain(ActionError):
    """It did not happen, and may work later; it is tried as often as the SOP says.

    `after` is for how long whoever was asked wants to be left alone; None when they did not say.
    """

    def __init__(self, reason: str, *, after: timedelta | None = None, next_step: str | None = None) -> None:
        super().__init__(reason, next_step=next_step)
        self.after = after


class OutcomeUnknown(ActionError):
    """It may or may not have happened; a person is asked before anything is repeated."""

    next_step = "look on the other side whether it happened; then retry the task, or complete it with what you saw"
