"""What came back from people and mail servers, and how the mailbox it comes to fares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from case_store.models import Case, Person, Reply, ReplyMailbox, Task
from case_store.store import Tx

LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class ReplyRow:
    """One reply in a listing; `person` is the handle of whoever the message was for, `evidence_id` the mail itself."""

    at: datetime
    channel: str
    case_number: int | None
    task: str | None
    person: str | None
    outcome: str
    why: str | None
    note_id: str | None
    evidence_id: str | None
    key: str


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """A mailbox of replies: since when it was last read, and what keeps it from being read."""

    name: str
    last_ok_at: datetime | None
    failures: int
    failed_at: datetime | None
    error: str | None


async def replies(tx: Tx, *, case: Case | None = None, limit: int = LIMIT) -> list[ReplyRow]:
    """Return what came back, the newest first; only about one case if it is given."""
    wanted = (
        select(Reply, Case.number, Task.key, Person.handle)
        .outerjoin(Case, Case.id == Reply.case_id)
        .outerjoin(Task, Task.id == Reply.task_id)
        .outerjoin(Person, Person.id == Reply.person_id)
        .order_by(Reply.at.desc(), Reply.key)
        .limit(limit)
    )
    if case is not None:
        wanted = wanted.where(Reply.case_id == case.id)
    return [
        ReplyRow(one.at, one.channel, number, key, handle, one.outcome, one.why, one.note_id, one.evidence_id, one.key)
        for one, number, key, handle in await tx.session.execute(wanted)
    ]


async def mailboxes(tx: Tx) -> list[MailboxRow]:
    """Return the mailboxes that were ever read, by name."""
    found = await tx.session.scalars(select(ReplyMailbox).order_by(ReplyMailbox.name))
    return [MailboxRow(one.name, one.last_ok_at, one.failures, one.failed_at, one.last_error) for one in found]
