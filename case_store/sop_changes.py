"""Which SOPs an installation has and which the engine has been given, on record: each change once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import select

from case_store.actor import Actor
from case_store.holds import hold
from case_store.models import AuditEvent
from case_store.store import Tx
from sop.loader import LoadedSop

_HELD: Final = "sop changes"


async def note_library(tx: Tx, library: Iterable[LoadedSop], *, by: Actor, at: datetime) -> int:
    """Put on record which SOPs are new, or have other words than the last time; returns how many.

    Args:
        tx: The transaction.
        library: The SOPs of this installation that can be used.
        by: Who found them.
        at: Now.
    """
    await hold(tx, _HELD)
    told = await _told(tx, "sop.added", "sop.changed")
    new = [loaded for loaded in library if told.get(loaded.sop.key) != loaded.digest]
    for loaded in new:
        before = told.get(loaded.sop.key)
        if before is None:
            tx.record("sop.added", None, by=by, at=at, facts=facts_of(loaded))
        else:
            tx.record("sop.changed", None, by=by, at=at, facts={**facts_of(loaded), "before": before})
    await tx.flush()
    return len(new)


async def note_deployed(tx: Tx, deployed: Iterable[LoadedSop], *, by: Actor, at: datetime) -> int:
    """Put on record which SOPs were given to the engine in words that it did not have; returns how many.

    Args:
        tx: The transaction.
        deployed: The SOPs that it has now.
        by: Who deployed them.
        at: Now.
    """
    await hold(tx, _HELD)
    told = await _told(tx, "sop.deployed")
    new = [loaded for loaded in deployed if told.get(loaded.sop.key) != loaded.digest]
    for loaded in new:
        tx.record("sop.deployed", None, by=by, at=at, facts=facts_of(loaded))
    await tx.flush()
    return len(new)


def facts_of(loaded: LoadedSop) -> dict[str, object]:
    """Return the facts by which events name an SOP: its key, its version, and the hash of its words."""
    return {"key": loaded.sop.key, "version": loaded.sop.version, "sha256": loaded.digest}


async def _told(tx: Tx, *types: str) -> dict[str, str]:
    """Return the hash that events of these types said last of each SOP, by its key."""
    found = await tx.session.execute(select(AuditEvent.id, AuditEvent.body).where(AuditEvent.type.in_(types)))
    facts = [json.loads(body)["facts"] for _, body in sorted((id_, body) for id_, body in found)]
    return {one["key"]: one["sha256"] for one in facts}
