"""Hold a name until the transaction ends, so that two transactions cannot both find it free."""

from __future__ import annotations

import hashlib

from sqlalchemy import func, select

from case_store.store import Tx


async def hold(tx: Tx, name: str) -> None:
    """Wait until no other transaction holds this name, then hold it until ours ends.

    SQLite has one writer at a time already; PostgreSQL is asked for an advisory lock.
    """
    connection = await tx.session.connection()
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        await tx.session.execute(select(func.pg_advisory_xact_lock(key)))
