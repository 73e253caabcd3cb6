"""Whoever answered by mail is told what became of it: a message as any other, which nobody else gets instead."""

from __future__ import annotations

from datetime import datetime

from case_store import contacts
from case_store.models import Case, OutboxEntry, Person
from case_store.outbox.policy import REPLY, USEFUL_FOR
from case_store.replies.outcomes import Taken
from case_store.store import Tx


async def promise_answer(
    tx: Tx, entry: OutboxEntry, person: Person, key: str, taken: Taken, *, at: datetime
) -> OutboxEntry | None:
    """Promise to tell somebody what became of their mail; None when no mail reaches them.

    Args:
        tx: The transaction.
        entry: The message that they answered.
        person: Who they are.
        key: The key of their mail.
        taken: What became of it.
        at: Now.
    """
    if not contacts.reaches("email", person) or entry.case_id is None:
        return None
    case = await tx.session.get_one(Case, entry.case_id)
    about = "decide" if taken.decides else taken.why or taken.outcome
    answer = OutboxEntry(
        dedup_key=f"answer:{key}",
        case_id=case.id,
        task_id=entry.task_id,
        channel="email",
        recipient_id=person.id,
        template=REPLY,
        context={
            "reply": {"about": about},
            "case": {"number": case.number},
            "recipient": contacts.recipient_of(person),
        },
        next_at=at,
        not_after=at + USEFUL_FOR["email"],
    )
    tx.session.add(answer)
    await tx.flush()
    return answer
