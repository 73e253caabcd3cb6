"""What somebody sees who follows a link: what is asked, and what they may decide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from case_store import codes, find, links, sops
from case_store.models import Person
from case_store.store import Tx
from sop.model import FormField


@dataclass(frozen=True, slots=True)
class AnswerPage:
    """The question behind a link.

    Attributes:
        case_number: The case's number.
        case_title: Its title.
        severity: Its severity.
        task_title: What is done.
        instructions: How, in Markdown; empty when the SOP says nothing.
        parameters: What exactly would be done, as name and JSON; of an approval with an action.
        form: The questions, by field; empty but for a form.
        decisions: What may be decided: `done`, `approve`, `reject`, `skip`.
        note_required: Whether a note is needed, whatever is decided.
        code_needed: Whether a code is needed to decide it.
        code_waits: Whether a code was sent that can still be entered.
        person: The name of whom the link was made for.
        due_at: When it is due; None without an SLA.
        expires_at: Until when the link can be used.
    """

    case_number: int
    case_title: str
    severity: str
    task_title: str
    instructions: str
    parameters: tuple[tuple[str, str], ...]
    form: Mapping[str, FormField]
    decisions: tuple[str, ...]
    note_required: bool
    code_needed: bool
    code_waits: bool
    person: str
    due_at: datetime | None
    expires_at: datetime


async def answer_page(tx: Tx, name: str | None, at: datetime) -> AnswerPage:
    """Return the question behind a link; nothing is changed.

    Args:
        tx: A reading transaction.
        name: The digest that `LinkKeys.read_link` gave; None for what we did not sign.
        at: Now.

    Raises:
        LinkRefused: The link cannot be used.
    """
    link, task = await links.look(tx, name, at)
    case = await find.case(tx, task.case_id)
    wanted = (await sops.pinned(tx, case)).sop.task(task.key)
    person = await tx.session.get_one(Person, link.person_id)
    shown = (task.parameters or {}).items()
    return AnswerPage(
        case_number=case.number,
        case_title=case.title,
        severity=case.severity,
        task_title=task.title,
        instructions=wanted.instructions,
        parameters=tuple((key, json.dumps(value, ensure_ascii=False, indent=1)) for key, value in shown),
        form=wanted.form or {},
        decisions=tuple(link.decisions),
        note_required=task.note_required,
        code_needed=any(links.signs(task, one) for one in link.decisions),
        code_waits=await codes.waits(tx, task, person, at=at),
        person=person.name,
        due_at=task.due_at,
        expires_at=link.expires_at,
    )
