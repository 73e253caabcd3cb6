"""The code with which a person signs at the command line."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from case_store import codes, tasks
from case_store.actor import Actor
from case_store.models import Person, Task
from case_store.refusals import CodeRefused
from case_store.store import Tx

LINK_CHANNEL: Final = "email"
"""By which links are sent, so that the code goes another way."""


async def send(tx: Tx, task: Task, person: Person, *, at: datetime) -> str:
    """Promise the person a code; returns what to tell them."""
    await tasks.refuse_without_code(tx, task, person)
    sent = await codes.send(tx, task, person, away_from=LINK_CHANNEL, by=Actor.person(person), at=at)
    return f"a code was sent to {person.handle} by {sent.channel}; it is good until {sent.expires_at:%H:%M} UTC"


async def check(tx: Tx, task: Task, person: Person, code: str | None, *, at: datetime) -> CodeRefused | None:
    """Check a code, if one was given.

    Returns:
        Why it is refused, to be raised once the transaction is committed, so that the wrong try counts.
    """
    if code is None:
        return None
    checked = await codes.check(tx, task, person, code, away_from=LINK_CHANNEL, by=Actor.person(person), at=at)
    return None if checked.verified else CodeRefused(checked.why)
