"""Puts on record that links were opened, and that they were refused: what stands for log-ins here.

Nothing else is changed by it. Whoever calls decides which of many visits are worth an event: scanners open links, too.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.models import AnswerLink, Person
from case_store.store import Tx


async def opened(tx: Tx, name: str | None, *, count: int, by: Actor, at: datetime) -> None:
    """Record that somebody was shown what a link asks.

    Args:
        tx: The transaction.
        name: The digest that `LinkKeys.read_link` gave.
        count: How often in this hour.
        by: Who showed it.
        at: Now.
    """
    link = await _known(tx, name)
    if link is not None:
        facts = {"who": await _who(tx, link), "count": count}
        tx.record("answer_link.opened", link, by=by, at=at, facts=facts)


async def refused(tx: Tx, name: str | None, why: str, *, count: int, by: Actor, at: datetime) -> None:
    """Record that somebody came with a link that cannot be used, or that is none of ours.

    Args:
        tx: The transaction.
        name: The digest that `LinkKeys.read_link` gave; None for what we did not sign.
        why: Why it was refused, by the word of `LinkRefused`.
        count: How often in this hour.
        by: Who refused it.
        at: Now.
    """
    link = await _known(tx, name)
    if link is None:
        tx.record("answer_link.unknown", None, by=by, at=at, facts={"signed": name is not None, "count": count})
        return
    facts = {"who": await _who(tx, link), "why": why, "count": count}
    tx.record("answer_link.refused", link, by=by, at=at, facts=facts)


async def _known(tx: Tx, name: str | None) -> AnswerLink | None:
    if name is None:
        return None
    found: AnswerLink | None = await tx.session.scalar(select(AnswerLink).where(AnswerLink.name_sha256 == name))
    return found


async def _who(tx: Tx, link: AnswerLink) -> object:
    person = await tx.session.get_one(Person, link.person_id)
    return personal(person, person.handle)
