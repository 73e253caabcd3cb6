"""What an action is given, and what it gives back.

An action never touches the case store. It reads through its context and returns a `Result`; the engine attaches all of
it to the case in the one transaction that also records how the action ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from sop.actions import action

__all__ = [
    "ActionContext",
    "ActionFailed",
    "Attachment",
    "CaseFacts",
    "EvidenceFacts",
    "OutcomeUnknown",
    "Result",
    "TryAgain",
    "action",
]

Severity = Literal["informational", "low", "medium", "high", "critical"]


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
    """Where an action runs, and what it can read.

    Attributes:
        case: The case.
        task_key: The task's key in the SOP.
        execution: Number of this execution of the task, from 1. Together with `task_id` it names the execution; hand it
            to systems that take an idempotency key.
        task_id: The task's id.
        at: When the execution began.
        config: Settings of actions: the environment variables `CASEWRIGHT_ACTION_...`, by the rest of the name.
    """

    @property
    def case(self) -> CaseFacts: ...

    @property
    def task_key(self) -> str: ...

    @property
    def task_id(self) -> str: ...

    @property
    def execution(self) -> int: ...

    @property
    def at(self) -> datetime: ...

    @property
    def config(self) -> Mapping[str, str]: ...

    async def evidence_list(self) -> list[EvidenceFacts]:
        """Return all evidence of the case, the oldest first."""
        ...

    async def evidence(self, evidence_id: str) -> EvidenceFacts:
        """Return one piece of evidence of the case.

        Raises:
            ActionFailed: The case has no such evidence.
        """
        ...

    async def read(self, evidence_id: str, limit: int = 32 * 1024 * 1024) -> bytes:
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
        fields: Values by name: no floats, no more than a page. Conditions read them as `tasks.KEY.FIELD`.
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


class TryAgain(ActionError):
    """It did not happen, and may work later; it is tried as often as the SOP says."""


class OutcomeUnknown(ActionError):
    """It may or may not have happened; a person is asked before anything is repeated."""
