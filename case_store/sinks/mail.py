"""The daily checkpoint to the auditor: promised in the outbox, so that sending, retries and its fate are on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import func, select

from case_store.audit.trail import newest_checkpoint
from case_store.models import AuditCheckpoint, OutboxEntry, Person
from case_store.sinks.address import Address
from case_store.sinks.contract import SinkDown
from case_store.store import Tx

TEMPLATE: Final = "checkpoint"
_USEFUL_FOR: Final = timedelta(days=3)


async def is_due(tx: Tx, address: Address, at: datetime) -> bool:
    """Say whether the checkpoint of this day (UTC) is not promised yet, and there is one."""
    if await newest_checkpoint(tx) is None:
        return False
    of_today = select(OutboxEntry.id).where(OutboxEntry.dedup_key == _key(address, _day(at)))
    return await tx.session.scalar(of_today) is None


async def promise(tx: Tx, address: Address, at: datetime, *, occasion: str | None = None) -> AuditCheckpoint | None:
    """Promise the newest checkpoint by mail, once for each occasion, which is the day unless another is named.

    Returns:
        The checkpoint; None when it was promised before.

    Raises:
        SinkDown: Nobody on record has the address, or nothing is signed yet.
    """
    person = await tx.session.scalar(
        select(Person).where(func.lower(Person.email) == address.target.lower()).order_by(Person.id).limit(1)
    )
    if person is None:
        raise SinkDown(
            "nobody on record has the address of this sink",
            next_step="bring the auditor in (casewright people import), with no role and this e-mail address",
        )
    checkpoint = await newest_checkpoint(tx)
    if checkpoint is None:
        raise SinkDown("nothing is signed yet", next_step="start a relay: casewright up, or casewright relay")
    key = _key(address, occasion or _day(at))
    if await tx.session.scalar(select(OutboxEntry.id).where(OutboxEntry.dedup_key == key)):
        return None
    tx.session.add(
        OutboxEntry(
            dedup_key=key,
            channel="email",
            recipient_id=person.id,
            template=TEMPLATE,
            context={
                "checkpoint": {"note": checkpoint.note, "size": checkpoint.size, "at": checkpoint.at.isoformat()},
                "recipient": {"name": person.name, "time_zone": person.time_zone},
            },
            next_at=at,
            not_after=at + _USEFUL_FOR,
        )
    )
    await tx.flush()
    return checkpoint


async def last(tx: Tx, address: Address) -> OutboxEntry | None:
    """Return the newest letter that was promised to the sink."""
    of_sink = OutboxEntry.dedup_key.startswith(_key(address, ""), autoescape=True)
    return await tx.session.scalar(select(OutboxEntry).where(of_sink).order_by(OutboxEntry.id.desc()).limit(1))


def _key(address: Address, occasion: str) -> str:
    return f"checkpoint:{address.fingerprint[:16]}:{occasion}"


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()
