"""The facts with which a message is shown for trying: those of a case, and examples where there is none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from case_store import contacts, lifecycle, notices, sops
from case_store.links import ASKING
from case_store.models import Case, JsonMap, Person, Task
from case_store.settings import Settings
from case_store.store import Tx

EXAMPLE: Final = 42
"""The number of the case that a message is about where none is named."""

_LATE: Final = timedelta(hours=2)
_TOKEN: Final = "AN-EXAMPLE-DECIDES-NOTHING".ljust(73, "-")
"""As long as the token of a link."""


async def facts_for(
    tx: Tx, case: Case | None, person: Person, template: str, settings: Settings, at: datetime
) -> JsonMap:
    """Return facts for a message about a case, or about an example, as the person would get it."""
    known: JsonMap = {"case": {"number": EXAMPLE, "title": "Odd mail to accounting", "severity": "high"}}
    task = await _task(tx, case) if case is not None else None
    if case is not None:
        known["case"] = {"number": case.number, "title": case.title, "severity": case.severity}
    facts = await notices.facts(tx, case, task) if case is not None and task is not None else {}
    link = await _link(tx, case, task, template, settings)
    number = case.number if case else EXAMPLE
    return {
        **known,
        "task": {"title": "An example", "stage": "A stage"},
        **facts,
        "due": facts.get("due") or (at + _LATE).isoformat(),
        "link": link,
        "recipient": contacts.recipient_of(person),
        "rung": 1,
        "missed": [],
        "after": "1 h",
        "late_by": "2 h",
        "digest": {"count": 7, "cases": [{"number": number, "messages": 7}], "more": 0},
        "alarm": {"about": "message", "channel": "sms", "template": "assigned", "case": number},
        "checkpoint": {"at": at.isoformat(), "size": 1, "lines": ["an example"]},
        "reply": {"about": "noted"},
        "code": {"digits": "12345678", "minutes": 10},
    }


async def _task(tx: Tx, case: Case) -> Task | None:
    wanted = select(Task).where(Task.case_id == case.id)
    waits = Task.state.in_(lifecycle.ASKS_A_PERSON)
    found: Task | None = await tx.session.scalar(wanted.order_by(waits.desc(), Task.position).limit(1))
    return found


async def _link(tx: Tx, case: Case | None, task: Task | None, template: str, settings: Settings) -> str:
    """Return where the message leads: an example of a personal link where it would carry one."""
    if settings.public_url is None or template not in ASKING:
        return settings.prefect_ui_url
    if case is not None:
        may = (await sops.pinned(tx, case)).sop.task(task.key).by_link if task is not None else ()
        if not may or notices.hides_content(case):
            return settings.prefect_ui_url
    return f"{settings.public_url}/a/{_TOKEN}"
