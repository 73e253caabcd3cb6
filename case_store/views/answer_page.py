"""What somebody sees who follows a link: what is asked, and what they may decide."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from case_store import codes, find, links, sops
from case_store.models import AnswerLink, Person
from case_store.store import Tx
from sop.model import FormField


@dataclass(frozen=True, slots=True)
class Reader:
    """What somebody reads: their language, such as `de-CH`, and the name of their time zone; None: not known."""

    language: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerPage:
    """The question behind a link.

    Attributes:
        case_number: The case's number.
        case_title: Its title.
        severity: Its severity.
        task_title: What is done.
        instructions: How, in Markdown; empty when the SOP says nothing.
        parameters: What exactly would be done, as name and JSON; of an approval with an action. None: a value lacks.
        form: The questions, by field; empty but for a form.
        decisions: What may be decided: `done`, `approve`, `reject`, `skip`.
        note_required: Whether a note is needed, whatever is decided.
        code_needed: Whether a code is needed to decide it.
        code_waits: Whether a code was sent that can still be entered.
        person: The name of whom the link was made for.
        reader: What they read.
        due_at: When it is due; None without an SLA.
        expires_at: Until when the link can be used.
    """

    case_number: int
    case_title: str
    severity: str
    task_title: str
    instructions: str
    parameters: tuple[tuple[str, str], ...] | None
    form: Mapping[str, FormField]
    decisions: tuple[str, ...]
    note_required: bool
    code_needed: bool
    code_waits: bool
    person: str
    reader: Reader
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
    missing = wanted.action is not None and task.parameters is None
    return AnswerPage(
        case_number=case.number,
        case_title=case.title,
        severity=case.severity,
        task_title=task.title,
        instructions=wanted.instructions,
        parameters=None if missing else tuple((key, _exactly(one)) for key, one in (task.parameters or {}).items()),
        form=wanted.form or {},
        decisions=tuple(link.decisions),
        note_required=task.note_required,
        code_needed=any(links.signs(task, one) for one in link.decisions),
        code_waits=await codes.waits(tx, task, person, at=at),
        person=person.name,
        reader=Reader(person.language, person.time_zone),
        due_at=task.due_at,
        expires_at=link.expires_at,
    )


async def reader_of(tx: Tx, name: str | None) -> Reader | None:
    """Return what the person reads for whom a link was made, whatever became of it; None when it is not one of ours."""
    wanted = select(Person).join(AnswerLink, AnswerLink.person_id == Person.id)
    person = await tx.session.scalar(wanted.where(AnswerLink.name_sha256 == (name or "")))
    return Reader(person.language, person.time_zone) if person is not None else None


def _exactly(value: object) -> str:
    """Return JSON in which everything can be seen: what has no shape of its own, or turns text around, is escaped."""
    written = json.dumps(value, ensure_ascii=False, indent=1)
    return "".join(f"\\u{ord(one):04x}" if _unseen(one) else one for one in written)


def _unseen(one: str) -> bool:
    kind = unicodedata.category(one)
    return (kind[0] == "C" and one != "\n") or kind in {"Zl", "Zp"} or (kind == "Zs" and one != " ")
