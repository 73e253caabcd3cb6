"""Links are made when the message that carries them is about to be sent, and can be taken back."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from case_store import find, sops, tasks, texts
from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.links.keys import LinkKeys
from case_store.models import AnswerLink, Person, Task
from case_store.notices import hides_content
from case_store.store import Tx

ASKING: Final = frozenset({"assigned", "overdue", "warning"})
"""Messages that ask their reader to decide, and so carry a link; others only tell."""


async def mint(
    tx: Tx,
    task: Task,
    person: Person,
    channel: str,
    *,
    keys: LinkKeys,
    lasts: timedelta,
    by: Actor,
    at: datetime,
    message: str | None = None,
) -> str | None:
    """Make a link for one person and one task; None when they may decide nothing by link.

    A message has one link, however often it is tried: what arrived of it twice says the same.

    A case whose content is not for every eye has no links: whoever has the message would see it.

    Args:
        tx: The transaction.
        task: The task.
        person: Whom the message goes to: the task's owner, or one who has its role.
        channel: What carries the message.
        keys: What signs.
        lasts: How long the link can be used.
        by: Who sends the message.
        at: Now.
        message: Names the message that carries it; None for a link of its own.

    Returns:
        The token; the database keeps no more than the digest of the name in it.
    """
    case, task = await find.locked(tx, task)
    owns = task.owner_id == person.id or (task.owner_id is None and task.owner_role in person.roles)
    if hides_content(case):
        return None
    decisions = (await sops.pinned(tx, case)).sop.task(task.key).by_link
    if not decisions or task.state != "open" or not owns or not person.active:
        return None
    token, name, there = await _named(tx, task, keys, message, at)
    if there is not None:
        return token if there.used_at is None and there.revoked_at is None else None
    made = AnswerLink(
        case_id=case.id,
        task_id=task.id,
        person_id=person.id,
        name_sha256=name,
        channel=channel,
        decisions=list(decisions),
        attempt=task.attempt,
        parameters_sha256=tasks.parameters_sha256(task.parameters),
        minted_at=at,
        expires_at=at + lasts,
    )
    tx.session.add(made)
    tx.record("answer_link.minted", made, by=by, at=at)
    await tx.flush()
    return token


async def _named(
    tx: Tx, task: Task, keys: LinkKeys, message: str | None, at: datetime
) -> tuple[str, str, AnswerLink | None]:
    """Return a token, the digest of its name, and the link that has it already; one that expired is passed over."""
    for number in itertools.count() if message is not None else ():
        token, name = keys.link_of(
            f"{message}:{task.id}:{task.attempt}:{tasks.parameters_sha256(task.parameters)}:{number}"
        )
        there = await tx.session.scalar(select(AnswerLink).where(AnswerLink.name_sha256 == name))
        if there is None or there.expires_at > at:
            return token, name, there
    return *keys.new_link(), None


async def revoke(tx: Tx, task: Task, reason: str, *, by: Actor, at: datetime) -> int:
    """Take back all links to a task that can still be used; return how many.

    Raises:
        TextRequired: There is no reason.
    """
    _, task = await find.locked(tx, task)
    why = texts.words(reason, "the reason")
    found = await _usable(tx, task, at)
    for link in found:
        link.revoked_at = at
        tx.record("answer_link.revoked", link, by=by, at=at, facts={"reason": personal(task, why)})
    await tx.flush()
    return len(found)


async def _usable(tx: Tx, task: Task, at: datetime) -> Sequence[AnswerLink]:
    wanted = select(AnswerLink).where(
        AnswerLink.task_id == task.id,
        AnswerLink.used_at.is_(None),
        AnswerLink.revoked_at.is_(None),
        AnswerLink.expires_at > at,
    )
    return (await tx.session.scalars(wanted.execution_options(populate_existing=True))).all()
