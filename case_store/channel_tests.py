"""Test messages: somebody looked whether a person can be reached. No promises, and on record all the same."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from case_store.actor import Actor
from case_store.audit.commitments import Personal
from case_store.models import Person
from case_store.store import Tx

Outcome = Literal["ok", "permanent", "temporary", "unknown"]


async def record_test(
    tx: Tx,
    person: Person,
    channel: str,
    outcome: Outcome,
    *,
    provider_ref: str | None = None,
    error: str | None = None,
    by: Actor,
    at: datetime,
) -> None:
    """Put a test message on record, in the person's stream.

    Args:
        tx: The transaction.
        person: Whom it went to.
        channel: By which channel.
        outcome: What became of it.
        provider_ref: What the channel calls it.
        error: What went wrong; None when the channel took it.
        by: Who sent it.
        at: Now.
    """
    facts = {
        "channel": channel,
        "outcome": outcome,
        "provider_ref": provider_ref,
        "error": Personal(error, (Person.entity_type, person.id)),
    }
    tx.record("notification.tested", person, by=by, at=at, facts=facts)
    await tx.flush()
