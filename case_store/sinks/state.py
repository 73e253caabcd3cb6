"""How far each sink is: registered, leased for a delivery, settled after it, set back by a person.

One relay delivers to a sink at a time. The right to is a lease under a token, because a delivery must not hold a
transaction (on SQLite nobody could write meanwhile). `settle` counts only while the token holds; so the cursor moves
only past what its holder has delivered, and whoever was too slow has delivered twice, never too little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from case_store.actor import Actor
from case_store.models import AuditCheckpoint, AuditSink, AuditTree
from case_store.refusals import CannotRewind, NotFound
from case_store.sinks.address import Address
from case_store.sinks.contract import WITHIN
from case_store.store import Tx

LEASE: Final = timedelta(seconds=1.5 * WITHIN)
_LONGEST_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to deliver to a sink: what comes next for it, and the token that `settle` asks for."""

    name: str
    cursor: int
    token: str


async def register(tx: Tx, addresses: Sequence[Address], *, by: Actor, at: datetime) -> None:
    """Bring the rows in line with the settings; what is new, changed or gone is on record."""
    known = {row.name: row for row in await tx.session.scalars(select(AuditSink).with_for_update())}
    for address in addresses:
        row = known.pop(address.name, None)
        if row is None:
            tx.session.add(await _new(tx, address))
            _record(tx, "audit.sink_added", address.name, _facts(address), by=by, at=at)
        elif row.fingerprint != address.fingerprint or row.removed_at is not None:
            event = "audit.sink_added" if row.removed_at else "audit.sink_changed"
            row.kind, row.fingerprint, row.removed_at = address.kind, address.fingerprint, None
            _record(tx, event, address.name, {**_facts(address), "cursor": row.cursor}, by=by, at=at)
    for name, row in known.items():
        if row.removed_at is None:
            row.removed_at = at
            _record(tx, "audit.sink_removed", name, {"cursor": row.cursor}, by=by, at=at)
    await tx.flush()


async def _new(tx: Tx, address: Address) -> AuditSink:
    start = 0
    if not address.beginning:
        start = await tx.session.scalar(select(AuditTree.size)) or 0
    return AuditSink(name=address.name, kind=address.kind, fingerprint=address.fingerprint, cursor=start)


def _facts(address: Address) -> dict[str, object]:
    facts: dict[str, object] = {"kind": address.kind, "fingerprint": address.fingerprint}
    if address.kind != "mailto":  # an address of a person could not be erased any more
        facts["url"] = address.url
    return facts


async def is_due(tx: Tx, address: Address) -> bool:
    """Say whether something waits for the sink that nobody is delivering."""
    row = await tx.session.get(AuditSink, address.name)
    if row is None or row.removed_at is not None:
        return False
    if address.what == "events":
        return row.cursor < (await tx.session.scalar(select(AuditTree.size)) or 0)
    newest = select(AuditCheckpoint.id).order_by(AuditCheckpoint.id.desc()).limit(1)
    return row.cursor < (await tx.session.scalar(newest) or 0)


async def claim(tx: Tx, name: str, token: str, at: datetime) -> Claim | None:
    """Take the sink for one delivery; None when somebody else has it.

    A lease that ends much later than any lease can was given before the clock was set back; it does not count. Much:
    `at` is older than the row when somebody else was served while we waited for its lock.
    """
    row = await _locked(tx, name)
    if row is None or row.removed_at is not None:
        return None
    if row.lease_until is not None and at < row.lease_until <= at + 2 * LEASE:
        return None
    row.token, row.lease_until = token, at + LEASE
    await tx.flush()
    return Claim(name, row.cursor, token)


async def settle(tx: Tx, claim: Claim, *, cursor: int, size: int | None = None, at: datetime) -> bool:
    """Note that the sink has taken everything before `cursor`.

    Returns:
        False when the lease had passed to somebody else, or a person set the sink back meanwhile: nothing is noted.
    """
    row = await _held(tx, claim)
    if row is None:
        return False
    row.cursor, row.last_ok_at, row.last_error, row.failed_at = cursor, at, None, None
    row.size = row.size if size is None else size
    row.token = row.lease_until = None
    await tx.flush()
    return True


async def fail(tx: Tx, claim: Claim, reason: str, at: datetime) -> None:
    """Note why the sink took nothing; since when it fails stays as it is."""
    row = await _held(tx, claim)
    if row is not None:
        row.last_error, row.failed_at = reason[:_LONGEST_ERROR], row.failed_at or at
        row.token = row.lease_until = None
        await tx.flush()


async def rewind(tx: Tx, name: str, to: int, *, by: Actor, at: datetime) -> int:
    """Have a sink get all events from place `to` on once more; returns how many that are.

    Raises:
        NotFound: There is no such sink of events.
        CannotRewind: The place is not before the cursor.
    """
    row = await _locked(tx, name)
    if row is None or not name.startswith("events/"):
        raise NotFound(f"there is no sink {name} for events", next_step="see: casewright audit sinks")
    if not 0 <= to < row.cursor:
        last = f"to a place from 0 to {row.cursor - 1}, not to {to}" if row.cursor else "not at all: it has got nothing"
        raise CannotRewind(f"{name} can be set back {last}")
    again, row.cursor, row.token, row.lease_until = row.cursor - to, to, None, None
    _record(tx, "audit.sink_rewound", name, {"to": to, "from": to + again}, by=by, at=at)
    await tx.flush()
    return again


async def _locked(tx: Tx, name: str) -> AuditSink | None:
    wanted = select(AuditSink).where(AuditSink.name == name).with_for_update()
    return await tx.session.scalar(wanted.execution_options(populate_existing=True))


async def _held(tx: Tx, claim: Claim) -> AuditSink | None:
    row = await _locked(tx, claim.name)
    return row if row is not None and row.token == claim.token else None


def _record(tx: Tx, event: str, name: str, facts: Mapping[str, object], *, by: Actor, at: datetime) -> None:
    tx.record(event, None, by=by, at=at, facts={"sink": name, **facts})
