"""Up to when all states of runs are on record. Engine bookkeeping: without it, everything is read once more."""

from __future__ import annotations

from datetime import UTC, datetime

from case_store.models import Counter
from case_store.store import Tx

_NAME = "prefect-followed-until"


async def until(tx: Tx) -> datetime | None:
    """Return the time up to which every state is on record; None before the first catch-up."""
    row = await tx.session.get(Counter, _NAME)
    return datetime.fromtimestamp(row.value, UTC) if row else None


async def move(tx: Tx, to: datetime) -> None:
    """Note that every state before this time is on record. It never moves back: two relays may catch up at once."""
    row = await tx.session.get(Counter, _NAME, with_for_update=True)
    seconds = int(to.timestamp())
    if row is None:
        tx.session.add(Counter(name=_NAME, value=seconds))
    else:
        row.value = max(row.value, seconds)
    await tx.flush()
