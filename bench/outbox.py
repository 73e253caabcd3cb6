"""How many messages a second does the outbox claim and settle, beside plain UPDATEs of the same rows?

On SQLite and on PostgreSQL, in one run. Claimed in batches and settled one by one, each with its audit event, as a lane
does it; the provider costs nothing. The floor updates the same rows twice each by the driver alone, in the
same number of transactions, and writes no event. Others use the machine too: only the relation says something.
Run: make bench BENCH=outbox ARGS="--messages 2000"
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import aiosqlite
import asyncpg
from sqlalchemy import make_url

from bench.table import print_table
from case_store import migrate, outbox
from case_store.actor import Actor
from case_store.models import OutboxEntry, Person
from case_store.settings import Settings
from case_store.store import CaseStore
from tests import postgres

BY = Actor.system("bench")
AT = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1000, help="how many messages (default: 1000)")
    given = parser.parse_args()
    rows = []
    for database in ("sqlite", "postgresql"):
        ours, floor = asyncio.run(_measure(database, given.messages))
        rows.append([database, f"{ours:,.0f}", f"{floor:,.0f}", f"{ours / floor:.0%}"])
    print_table(f"claim and settle, {given.messages} messages", ["database", "messages/s", "floor/s", "of it"], rows)


async def _measure(database: str, messages: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        async with _database(database, Path(folder)) as url:
            await migrate.upgrade(url)
            store = await CaseStore.open(Settings(home=Path(folder), database_url=url))
            await _promise(store, messages)
            begun = time.perf_counter()
            await _work(store)
            ours = messages / (time.perf_counter() - begun)
            await store.close()
            begun = time.perf_counter()
            await (_floor_sqlite(url) if database == "sqlite" else _floor_postgresql(url))
            return ours, messages / (time.perf_counter() - begun)


async def _promise(store: CaseStore, messages: int) -> None:
    async with store.transaction() as tx:
        person = Person(handle="ada", name="Ada", email="ada@example.org")
        tx.session.add(person)
        tx.record("person.added", person, by=BY, at=AT)
        await tx.flush()
        for number in range(messages):
            entry = OutboxEntry(
                dedup_key=f"{number}:{person.id}:email", channel="email", recipient_id=person.id, template="test",
                next_at=AT,
            )  # fmt: skip
            tx.session.add(entry)


async def _work(store: CaseStore) -> None:
    while True:
        async with store.transaction() as tx:
            claimed = await outbox.claim(tx, AT, timedelta(hours=1), BATCH, uuid4().hex, channel="email")
        if not claimed:
            return
        for entry in claimed:
            async with store.transaction() as tx:
                await outbox.settle(tx, entry, outbox.Result("ok", entry.id), by=BY, at=AT)


_CLAIM = "UPDATE outbox SET state = 'leased', token = 'x' WHERE id IN ({})"
_SETTLE = "UPDATE outbox SET state = 'sent', token = NULL, provider_ref = 'x' WHERE id = {}"


async def _floor_sqlite(url: str) -> None:
    async with aiosqlite.connect(make_url(url).database or "") as connection:
        await connection.execute("PRAGMA synchronous = FULL")
        ids = [row[0] for row in await (await connection.execute("SELECT id FROM outbox")).fetchall()]
        for first in range(0, len(ids), BATCH):
            batch = ids[first : first + BATCH]
            await connection.execute(_CLAIM.format(", ".join("?" * len(batch))), batch)
            await connection.commit()
            for one in batch:
                await connection.execute(_SETTLE.format("?"), [one])
                await connection.commit()


async def _floor_postgresql(url: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    ids = [row["id"] for row in await connection.fetch("SELECT id FROM outbox")]
    for first in range(0, len(ids), BATCH):
        batch = ids[first : first + BATCH]
        await connection.execute(_CLAIM.format(", ".join(f"${n}" for n in range(1, len(batch) + 1))), *batch)
        for one in batch:
            await connection.execute(_SETTLE.format("$1"), one)
    await connection.close()


@asynccontextmanager
async def _database(kind: str, folder: Path) -> AsyncIterator[str]:
    if kind == "sqlite":
        yield f"sqlite+aiosqlite:///{folder / 'casewright.db'}"
        return
    name = f"casewright_bench_{uuid4().hex[:12]}"
    postgres.on_server(f'CREATE DATABASE "{name}"')
    try:
        yield postgres.server().set(database=name).render_as_string(hide_password=False)
    finally:
        postgres.on_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


if __name__ == "__main__":
    main()
