"""A link is looked at as often as anybody likes, and answers once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import select

from case_store import codes, find, tasks
from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.models import AnswerLink, Person, Task
from case_store.notices import hides_content
from case_store.refusals import LinkRefused
from case_store.store import Tx

SIGNED: Final = frozenset({"approve", "reject", "skip"})
"""Decisions about an approval. The link alone is not enough: a code is needed that went to the person another way."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody decides by a link: `done`, `approve`, `reject` or `skip`, and the words that go with it."""

    decision: str
    note: str | None = None
    form_values: Mapping[str, object] = field(default_factory=dict)


def signs(task: Task, decision: str) -> bool:
    """Tell whether a decision about a task needs a code when it comes by a link."""
    return task.kind == "approval" and decision in SIGNED


async def look(tx: Tx, name: str | None, at: datetime, *, lock: bool = False) -> tuple[AnswerLink, Task]:
    """Return a link that can be used, and its task; `lock` locks the case first. Nothing is changed.

    Args:
        tx: The transaction.
        name: The digest that `LinkKeys.read_link` gave; None for what we did not sign.
        at: Now.
        lock: Whether the caller is going to use it.

    Raises:
        LinkRefused: It is unknown, used, taken back or expired, or the task is another one by now.
    """
    wanted = select(AnswerLink).where(AnswerLink.name_sha256 == (name or ""))
    link = await tx.session.scalar(wanted)
    if link is None:
        raise LinkRefused("unknown")
    task = await find.task(tx, link.task_id, lock=lock)
    if lock:  # whoever was first has let go of the case by now
        await tx.session.refresh(link)
    if link.used_at is not None:
        raise LinkRefused("used")
    if link.revoked_at is not None or hides_content(await find.case(tx, link.case_id)):
        raise LinkRefused("revoked")
    if link.expires_at <= at:
        raise LinkRefused("expired")
    if task.state != "open":
        raise LinkRefused("decided")
    if (link.attempt, link.parameters_sha256) != (task.attempt, tasks.parameters_sha256(task.parameters)):
        raise LinkRefused("changed")
    return link, task


async def answer(tx: Tx, name: str | None, given: Answer, *, by: Actor, at: datetime) -> Task:
    """Decide a task by a link, as the person it was made for; the link is used up by it.

    What the decision itself refuses leaves the link as it was.

    Args:
        tx: The transaction.
        name: The digest that `LinkKeys.read_link` gave; None for what we did not sign.
        given: What is decided.
        by: Who carries it out: the pages, for whoever holds the link is not known to be that person.
        at: Now.

    Raises:
        LinkRefused: The link cannot be used, or does not allow this decision.
        CodeRequired: It is approved or rejected, and no code of the person's was verified.
        AlreadyDecided: Somebody was faster.
        FourEyes: The person may not approve what they asked for.
        FormRefused: The answers do not fit the form.
        TextRequired: A note or a reason is needed.
    """
    link, task = await look(tx, name, at, lock=True)
    if given.decision not in link.decisions:
        raise LinkRefused("not_allowed")
    person = await tx.session.get_one(Person, link.person_id)
    code = None
    if signs(task, given.decision):
        code = await codes.verified(tx, task, person, away_from=link.channel, at=at)
    task = await _decide(tx, task, given, person, by=by, at=at)
    signed: dict[str, object] = {"code_id": code.id, "code_by": code.channel} if code else {}
    signed["who"] = personal(person, person.handle)
    link.used_at, link.decision = at, given.decision
    tx.record("answer_link.used", link, by=by, at=at, facts=signed)
    await tx.flush()
    return task


async def _decide(tx: Tx, task: Task, given: Answer, person: Person, *, by: Actor, at: datetime) -> Task:
    match given.decision:
        case "approve":
            return await tasks.approve(tx, task, note=given.note, signed_by=person, via=tasks.BY_LINK, by=by, at=at)
        case "reject":
            return await tasks.reject(tx, task, note=given.note, signed_by=person, via=tasks.BY_LINK, by=by, at=at)
        case "skip":
            return await tasks.skip(tx, task, given.note or "", signed_by=person, via=tasks.BY_LINK, by=by, at=at)
        case _:
            values = given.form_values
            return await tasks.complete(
                tx, task, form_values=values, note=given.note, signed_by=person, via=tasks.BY_LINK, by=by, at=at
            )


async def send_code(tx: Tx, name: str | None, *, by: Actor, at: datetime) -> str:
    """Promise the person of a link a code to sign with, by another channel than the link's; return that channel.

    Raises:
        LinkRefused: The link cannot be used, or allows nothing that is signed.
        NoOtherChannel: Nothing else reaches the person.
        TooManyCodes: One was sent a moment ago, or five in an hour.
    """
    link, task = await look(tx, name, at, lock=True)
    if not any(signs(task, one) for one in link.decisions):
        raise LinkRefused("not_allowed")
    person = await tx.session.get_one(Person, link.person_id)
    return (await codes.send(tx, task, person, away_from=link.channel, by=by, at=at)).channel


async def check_code(
    tx: Tx, name: str | None, decision: str, code: str, *, by: Actor, at: datetime
) -> codes.Checked | None:
    """Check a code that somebody entered on the page of a link. Commit, whatever the answer is: tries are counted.

    Returns:
        Whether it is right; None when this decision needs none.

    Raises:
        LinkRefused: The link cannot be used.
    """
    link, task = await look(tx, name, at, lock=True)
    if not signs(task, decision):
        return None
    if not code.strip():
        return codes.Checked("nothing")
    person = await tx.session.get_one(Person, link.person_id)
    return await codes.check(tx, task, person, code, away_from=link.channel, by=by, at=at)
