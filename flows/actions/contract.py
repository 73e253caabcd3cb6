"""What an action is given and what it gives back (temporary draft)."""
from __future__ import annotations
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Attachment:
    name: str
    content: bytes | Path
    media_type: str | None = None


@dataclass(frozen=True)
class Result:
    fields: Mapping[str, Any] = field(default_factory=dict)
    evidence: Sequence[Attachment] = ()
    observables: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    severity: str | None = None
    summary: str = ""


class ActionFailed(Exception): ...
class TryAgain(Exception): ...
class OutcomeUnknown(Exception): ...
