"""The links that were sent about a case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from case_store.models import AnswerLink, Case, Person, Task
from case_store.store import Tx


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One link: never the link itself. `state` is `open`, `used`, `revoked` or `expired`."""

    task: str
    person: str
    channel: str
    decisions: tuple[str, ...]
    minted_at: datetime
    expires_at: datetime
    state: str


async def links_of(tx: Tx, case: Case, at: datetime) -> list[LinkRow]:
    """Return the links about a case, the oldest first."""
    wanted = (
        select(AnswerLink, Task.key, Person.handle)
        .join(Task, Task.id == AnswerLink.task_id)
        .join(Person, Person.id == AnswerLink.person_id)
        .where(AnswerLink.case_id == case.id)
        .order_by(AnswerLink.minted_at, AnswerLink.id)
    )
    return [
        LinkRow(key, who, link.channel, tuple(link.decisions), link.minted_at, link.expires_at, _state(link, at))
        for link, key, who in await tx.session.execute(wanted)
    ]


def _state(link: AnswerLink, at: datetime) -> str:
    if link.used_at is not None:
        return "used"
    if link.revoked_at is not None:
        return "revoked"
    return "expired" if link.expires_at <= at else "open"
