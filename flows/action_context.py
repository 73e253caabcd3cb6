"""What an action sees of its case: facts and evidence, read from the case store when it asks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from sqlalchemy import select

from case_store import models
from flows.actions.contract import ActionFailed, CaseFacts, EvidenceFacts
from flows.resources import Resources

_CONFIG = "CASEWRIGHT_ACTION_"


@dataclass(frozen=True)
class CaseContext:
    """The context of one execution; see `flows.actions.contract.ActionContext`."""

    own: Resources
    case: CaseFacts
    task_key: str
    task_id: str
    execution: int
    at: datetime
    config: Mapping[str, str] = field(repr=False)  # secrets are among it

    async def evidence_list(self) -> list[EvidenceFacts]:
        """Return all evidence of the case, the oldest first."""
        of_case = select(models.Evidence).where(models.Evidence.case_id == self.case.id)
        async with self.own.store.reading() as tx:
            found = await tx.session.scalars(of_case.order_by(models.Evidence.added_at, models.Evidence.id))
            return [_facts(one) for one in found]

    async def evidence(self, evidence_id: str) -> EvidenceFacts:
        """Return one piece of evidence of the case."""
        async with self.own.store.reading() as tx:
            found = await tx.session.get(models.Evidence, evidence_id)
        if found is None or found.case_id != self.case.id:
            raise ActionFailed(
                f"CASE-{self.case.number} has no evidence {evidence_id!r}",
                next_step=f"attach it: casewright case attach {self.case.number} FILE; then retry the task",
            )
        return _facts(found)

    async def read(self, evidence_id: str, limit: int = 32 * 1024 * 1024) -> bytes:
        """Return the bytes of a piece of evidence."""
        found = await self.evidence(evidence_id)
        if found.size > limit:
            raise ActionFailed(f"{found.name} has {found.size} bytes; this action reads at most {limit}")
        return await asyncio.to_thread(self._all, found)

    def open(self, evidence: EvidenceFacts) -> BinaryIO:
        """Open a piece of evidence for reading."""
        return self.own.blobs.open(evidence.sha256)

    def _all(self, evidence: EvidenceFacts) -> bytes:
        with self.open(evidence) as file:
            return file.read()


def context_of(own: Resources, case: models.Case, task: models.Task, execution: models.Execution) -> CaseContext:
    """Return the context of an execution."""
    return CaseContext(
        own=own,
        case=CaseFacts(case.id, case.number, case.title, case.severity, case.sop_key),
        task_key=task.key,
        task_id=task.id,
        execution=execution.number,
        at=execution.started_at,
        config={name.removeprefix(_CONFIG): value for name, value in os.environ.items() if name.startswith(_CONFIG)},
    )


def _facts(row: models.Evidence) -> EvidenceFacts:
    return EvidenceFacts(row.id, row.name, row.sha256, row.size, row.media_type)
