"""How long does one go over everything that is late take, with 100,000 tasks that wait for people?

On SQLite and on PostgreSQL, in one run. The floor is the plain SELECT of the due rows. Tasks are copies, made around
the guards of a database of this bench's own. How late people hear of it while everything runs: bench/lateness.py.
Run: make bench BENCH=escalation ARGS="--tasks 100000"
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from uuid import uuid4

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.table import print_table
from case_store import cases, find, migrate, on_call, tasks
from case_store.engines import migrating_engine, parse_url
from case_store.models import Base, Task
from case_store.store import CaseStore
from flows import escalation
from sop.loader import loads
from tests import postgres
from tests.store import world
from tests.store.world import ENGINE, SYSTEM

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
IN_A_CASE = 200
DUE = (0, 1, 100, 1000)
ROUNDS = 5
ENOUGH = 20
"""How many tasks there must be for each that is due: those that were due once are not taken again."""
_SOP = """\
sop: many
version: 1
title: Many
escalation: [{after: 0, to: owner}]
stages:
  - key: s
    title: S
    tasks:
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    wanted = parser.parse_args()
    rows = []
    for name in ("sqlite", "postgresql"):
        if wanted.database in {name, "both"}:
            with tempfile.TemporaryDirectory() as folder, _database(name, Path(folder)) as url:
                rows += asyncio.run(_measure(name, url, Path(folder), wanted.tasks))
    head = ["database", "open tasks", "steps due", "one run s", "s a step", "floor ms"]
    print_table("One run over everything that is late (median of the runs)", head, rows)


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite+aiosqlite:///{folder}/bench.db"
        return
    name = f"casewright_bench_{uuid4().hex[:12]}"
    postgres.on_server(f'CREATE DATABASE "{name}"')
    try:
        yield (
            postgres.server().set(drivername="postgresql+asyncpg", database=name).render_as_string(hide_password=False)
        )
    finally:
        postgres.on_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def _measure(name: str, url: str, folder: Path, number: int) -> list[list[str]]:
    await migrate.upgrade(url)
    store = CaseStore(url, folder)
    await _one_case(store)
    await _copy(url, number // IN_A_CASE)
    rows, at = [], AT + timedelta(hours=1)
    try:
        for due in (one for one in DUE if one * ENOUGH <= number):
            took, floors = [], []
            for _ in range(ROUNDS if due < DUE[-1] else 1):
                at += timedelta(minutes=10)
                await _make_due(url, due, at)
                floors.append(await _floor(url, at))
                began = time.perf_counter()
                told = await escalation.tell_all(store, on_call.Roster(), partial(_same, at))
                took.append(time.perf_counter() - began)
                if told.steps != due:
                    raise SystemExit(f"{told.steps} steps were taken, and {due} were due")
            each = f"{median(took) / due:.4f}" if due else "-"
            rows.append([name, str(number), str(due), f"{median(took):.3f}", each, f"{median(floors) * 1000:.2f}"])
    finally:
        await store.close()
    return rows


def _same(at: datetime) -> datetime:
    return at


async def _one_case(store: CaseStore) -> None:
    lines = "".join(f'      - {{key: t{n}, title: T, owner: "user:ada", sla: 1h}}\n' for n in range(IN_A_CASE))
    async with store.transaction() as tx:
        await world.people(tx)
        case = await cases.open_case(tx, loads(_SOP + lines), "Many", by=SYSTEM, at=AT)
        for n in range(IN_A_CASE):
            task = await find.task_of(tx, case, f"t{n}")
            await tasks.ask(tx, task, parameters=None, due_at=AT + timedelta(days=999), by=ENGINE, at=AT)


async def _copy(url: str, times: int) -> None:
    """Copy the case with all its rows, around the triggers; only the first of each copy knows its moment."""
    async with _connected(url) as connection:
        far = AT + timedelta(days=999)
        for table in ("cases", "stages", "tasks"):
            await _without_guards(connection, table)
            names = list(Base.metadata.tables[table].columns.keys())
            chosen = ", ".join(_COPIED.get(name, name) for name in names)
            n = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :times)"
            insert = f"INSERT INTO {table} ({', '.join(names)}) {n} SELECT {chosen} FROM {table}, n"  # noqa: S608
            await connection.execute(text(insert), {"times": times - 1})
        await connection.execute(update(Task).values(rung_at=far))
        await connection.execute(text("ANALYZE"))


_ID = "substr('000000' || i, length('000000' || i) - 5) || substr({0}, 7)"
_COPIED = {name: _ID.format(name) for name in ("id", "case_id", "stage_id")} | {"number": "number + i"}


async def _without_guards(connection: AsyncConnection, table: str) -> None:
    if connection.dialect.name == "sqlite":
        of_table = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"
        for (name,) in (await connection.execute(text(of_table), {"table": table})).all():
            await connection.exec_driver_sql(f"DROP TRIGGER {name}")
    else:
        await connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")


async def _make_due(url: str, number: int, at: datetime) -> None:
    """Have so many tasks of as many cases be due; those of the last time are over."""
    async with _connected(url) as connection:
        far = AT + timedelta(days=999)
        chosen = select(Task.id).where(Task.rung_at == far, Task.rungs.is_(None)).order_by(Task.key, Task.id)
        due_at = at - timedelta(seconds=1)
        now_due = {"rung_at": due_at, "due_at": due_at, "clock_at": due_at - timedelta(hours=1)}
        await connection.execute(update(Task).where(Task.id.in_(chosen.limit(number))).values(now_due))


async def _floor(url: str, at: datetime) -> float:
    async with _connected(url) as connection:
        waiting = Task.state.in_(("failed", "open", "unknown_outcome")), Task.rung_at <= at
        wanted = select(Task.id).where(*waiting).order_by(Task.rung_at, Task.id)
        began = time.perf_counter()
        (await connection.execute(wanted)).all()
        return time.perf_counter() - began


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[AsyncConnection]:
    engine = migrating_engine(parse_url(url))
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


if __name__ == "__main__":
    main()
