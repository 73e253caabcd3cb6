"""An engine in memory, so that an action can be tested without Prefect and without a database.

    async def test_counts_the_links():
        context = MemoryContext()
        mail = context.attach("mail.eml", b"From: ...")
        result = await call(count_links, context, evidence=mail.id)
        assert result.fields["links"] == 3

An action that reaches other machines is tested against a server on this one, with
`MemoryContext(config={"HTTP_ALLOW": "127.0.0.1:8080"})`.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO

import puremagic

from flows.actions.contract import MAX_READ, ActionFailed, CaseFacts, EvidenceFacts, Result
from sop.actions import spec_of

__all__ = ["MemoryContext", "call"]


@dataclass
class MemoryContext:
    """A context whose evidence is in memory; see `flows.actions.contract.ActionContext`."""

    case: CaseFacts = field(default_factory=lambda: CaseFacts("case-1", 1, "A case for testing", "medium", "testing"))
    task_key: str = "task"
    task_id: str = "task-1"
    execution: int = 1
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    _kept: dict[str, tuple[EvidenceFacts, bytes]] = field(default_factory=dict, init=False, repr=False)

    def attach(self, name: str, content: bytes, media_type: str | None = None) -> EvidenceFacts:
        """Add evidence to the case; without a media type, the one its bytes suggest."""
        facts = EvidenceFacts(
            id=f"evidence-{len(self._kept) + 1}",
            name=name,
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            media_type=media_type or _media_type(content),
        )
        self._kept[facts.id] = (facts, content)
        return facts

    async def evidence_list(self) -> list[EvidenceFacts]:
        """Return all evidence of the case, the oldest first."""
        return [facts for facts, _ in self._kept.values()]

    async def evidence(self, evidence_id: str) -> EvidenceFacts:
        """Return one piece of evidence of the case."""
        if evidence_id not in self._kept:
            raise ActionFailed(f"the case has no evidence {evidence_id!r}", next_step="attach it in the test first")
        return self._kept[evidence_id][0]

    async def read(self, evidence_id: str, limit: int = MAX_READ) -> bytes:
        """Return the bytes of a piece of evidence."""
        facts = await self.evidence(evidence_id)
        if facts.size > limit:
            raise ActionFailed(f"{facts.name} has {facts.size} bytes; this action reads at most {limit}")
        return self._kept[evidence_id][1]

    def open(self, evidence: EvidenceFacts) -> BinaryIO:
        """Open a piece of evidence for reading."""
        return io.BytesIO(self._kept[evidence.id][1])


async def call(function: Callable[..., Any], context: MemoryContext, **parameters: object) -> Result:
    """Call an action as the engine does, and return its result.

    Raises:
        ActionFailed: It returned something else than a `Result`; or whatever the action raises.
        ActionRefused: It is not marked with `@action`.
    """
    spec = spec_of(function)
    if inspect.iscoroutinefunction(spec.function):
        found = await spec.function(context, **parameters)
    else:
        found = await asyncio.to_thread(spec.function, context, **parameters)
    if not isinstance(found, Result):
        step = "let the action return flows.actions.contract.Result"
        raise ActionFailed(f"{spec.name} returned {type(found).__name__}", next_step=step)
    return found


def _media_type(content: bytes) -> str:
    try:
        return puremagic.from_string(content, mime=True) or "application/octet-stream"
    except (puremagic.PureError, ValueError):
        return "application/octet-stream"
