"""The facts with which a message is shown for trying: those of a case, and examples where there is none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from case_store import lifecycle, notices
from case_store.models import Case, JsonMap, Person, Task
from case_store.outbox.falling_over import recipient_of
from case_store.store import Tx

_LATE: Final = timedelta(hours=2)


async def facts_for(tx: Tx, case: Case, person: Person, link: str, at: datetime) -> JsonMap:
    """Return facts for any message about a case, as the person would get it."""
    wanted = select(Task).where(Task.case_id == case.id)
    waits = Task.state.in_(lifecycle.ASKS_A_PERSON)
    task = await tx.session.scalar(wanted.order_by(waits.desc(), Task.position).limit(1))
    facts = await notices.facts(tx, case, task) if task is not None else {}
    return {
        "case": {"number": case.number, "title": case.title, "severity": case.severity},
        "task": {"title": "An example", "stage": "A stage"},
        **facts,
        "due": facts.get("due") or (at + _LATE).isoformat(),
        "link": link,
        "recipient": recipient_of(person),
        "rung": 1,
        "missed": [],
        "after": "1 h",
        "late_by": "2 h",
        "digest": {"count": 7, "cases": [{"number": case.number, "messages": 7}], "more": 0},
        "alarm": {"about": "message", "channel": "sms", "template": "assigned", "case": case.number},
        "checkpoint": {"at": at.isoformat(), "size": 1, "lines": ["an example"]},
        "reply": {"about": "noted"},
        "code": {"digits": "123456", "minutes": 10},
    }
