"""The log gets a new key: the old one names it, and from then on only the new one signs.

The order is such that a crash at any point leaves a working log: the next key lies in the folder before the database
names it, and the database names it before it takes the place of the old one. Whoever holds the folder (the relay, or
the same command again) finishes what was interrupted.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from case_store.audit import keys, log_keys, succession
from case_store.audit.checkpoints import Signer, VerifierKey
from case_store.errors import NotTheLogsKey
from case_store.models import AuditKey, AuditTree

if TYPE_CHECKING:
    from case_store.actor import Actor
    from case_store.store import CaseStore


@dataclass(frozen=True, slots=True)
class Rotated:
    """What was done; `kept` is where the old private key lies, None if it does not.

    `resumed` says that an earlier change was finished, and nothing new begun.
    """

    old: VerifierKey
    new: VerifierKey
    kept: Path | None
    resumed: bool = False


async def rotate(
    store: CaseStore, folder: Path, *, by: Actor, at: datetime, destroy_old: bool = False, request_id: str | None = None
) -> Rotated:
    """Give the log a new key.

    Args:
        store: The case store.
        folder: The folder of the keys, the same that the relays use.
        by: Who does it.
        at: Now.
        destroy_old: Do not keep the old private key.
        request_id: The request that the event names.

    Raises:
        NotTheLogsKey: The folder does not hold the log's key.
        AuditKeyUnusable: A key cannot be read or written.
    """
    old = await asyncio.to_thread(keys.load, folder)
    async with store.reading() as tx:
        row = await log_keys.current(tx)
    resumed = row is not None and row.vkey != str(old.verifier())
    if row is not None and resumed:
        current = row.vkey
    else:
        new = await asyncio.to_thread(keys.prepare_next, folder, old.name)
        await _name(store, old, new, by=by, at=at, request_id=request_id)
        current = str(new.verifier())
    return await asyncio.to_thread(_finish, folder, old, current, destroy_old, resumed)


def _finish(folder: Path, old: Signer, current: str, destroy_old: bool, resumed: bool) -> Rotated:
    """Put the new key in its place. A relay that has seen the change may have done so and kept the old one."""
    taken = keys.take_next(folder, current, destroy_old=destroy_old)
    if taken is None:
        raise NotTheLogsKey(old.verifier().key_id.hex(), current)
    if destroy_old:
        keys.destroy(folder, old.verifier())
    kept = keys.archived(folder, old.verifier())
    return Rotated(old.verifier(), taken.verifier(), kept if kept.exists() else None, resumed)


async def _name(store: CaseStore, old: Signer, new: Signer, *, by: Actor, at: datetime, request_id: str | None) -> None:
    """Have the old key name the new one, on record. No checkpoint is signed meanwhile: the tree is locked."""
    async with store.transaction(request_id) as tx:
        await tx.session.scalar(select(AuditTree).with_for_update())
        await log_keys.require_or_begin(tx, old, at)
        row = await log_keys.current(tx)
        number = 1 if row is None else row.number
        statement = succession.state(old, new, at)
        tx.session.add(AuditKey(number=number + 1, vkey=str(new.verifier()), at=at, statement=statement))
        facts = {"old": str(old.verifier()), "new": str(new.verifier()), "number": number + 1}
        tx.record("audit.key_changed", None, by=by, at=at, facts=facts)
