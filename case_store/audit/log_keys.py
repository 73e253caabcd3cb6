"""Which key is the log's: the database knows the public ones, in their order, and only the last of them signs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from case_store.audit.checkpoints import NoteRefused, Signer, VerifierKey, opened
from case_store.errors import NotTheLogsKey
from case_store.models import AuditCheckpoint, AuditKey

if TYPE_CHECKING:
    from case_store.store import Tx


async def history(tx: Tx) -> Sequence[AuditKey]:
    """Return the log's keys, oldest first."""
    return (await tx.session.scalars(select(AuditKey).order_by(AuditKey.number))).all()


async def current(tx: Tx) -> AuditKey | None:
    """Return the key that signs; None before anything was signed."""
    return await tx.session.scalar(select(AuditKey).order_by(AuditKey.number.desc()).limit(1))


async def require(tx: Tx, signer: Signer) -> AuditKey | None:
    """Return the log's current key, if that is the one we hold; None where the log has none yet.

    Raises:
        NotTheLogsKey: The log is signed by another key.
    """
    found = await current(tx)
    if found is not None and found.vkey != str(signer.verifier()):
        raise NotTheLogsKey(signer.verifier().key_id.hex(), found.vkey)
    return found


async def require_or_begin(tx: Tx, signer: Signer, at: datetime) -> None:
    """Refuse a key that is not the log's; the first key that signs becomes it.

    A log that is older than this table has signed already: then it is the key that signed last.

    Raises:
        NotTheLogsKey: The log is signed by another key.
    """
    if await require(tx, signer) is not None:
        return
    newest = await tx.session.scalar(select(AuditCheckpoint.note).order_by(AuditCheckpoint.id.desc()).limit(1))
    if newest is not None:
        try:
            opened(newest, signer.verifier())
        except NoteRefused:
            raise NotTheLogsKey(signer.verifier().key_id.hex(), newest.partition("\n")[0]) from None
    row = {"number": 1, "vkey": str(signer.verifier()), "at": at, "statement": None}
    await tx.session.execute(insert(AuditKey).values(row))


async def statements(tx: Tx, until_signer_of: str | None = None) -> list[str]:
    """Return the statements by which each key names the next, as far as the key that signed this note."""
    found: list[str] = []
    for row in await history(tx):
        if row.statement is not None:
            found.append(row.statement)
        if until_signer_of is not None and _has_signed(until_signer_of, row.vkey):
            break
    return found


def _has_signed(note: str, vkey: str) -> bool:
    try:
        opened(note, VerifierKey.parse(vkey))
    except NoteRefused:
        return False
    return True
