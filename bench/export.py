"""How fast does the record leave in each format, and how much memory does that take?

On SQLite and on PostgreSQL, in one run: synthetic events of realistic size, chained and sealed. The floor is a plain
copy: the bodies read by the driver alone, each written with a line end. Each measurement is a process of its own, so
that its memory is its own; growth is the greatest resident size less that of the opened store before the export. The
floor counts in CPU time of that process: others use the machine too. What a PostgreSQL server spends is not in it.
Run: make bench BENCH=export ARGS="--events 1000000"
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import uuid4

import aiosqlite
import asyncpg
import psutil
from sqlalchemy import make_url

from bench.table import print_table
from case_store import audit, migrate
from case_store.actor import Actor
from case_store.audit import chain, keys, sequencer
from case_store.audit.events import Event, Subject
from case_store.audit.formats import FORMATS
from case_store.ids import new_id
from case_store.settings import Settings
from case_store.store import CaseStore, Tx
from tests import postgres

FLOOR = "plain copy"
BATCH = 2_000
STREAMS = 500
START = datetime(2026, 1, 1, tzinfo=UTC)
MEBIBYTE = 1024 * 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="how many events (default: 100000)")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is measured; the median counts")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--child", nargs=2, metavar=("URL", "WHAT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(asyncio.run(_child(*given.child))))
        return
    for database in ["sqlite", "postgresql"] if given.database == "both" else [given.database]:
        with tempfile.TemporaryDirectory() as folder, _database(database, Path(folder)) as url:
            asyncio.run(_fill(url, Path(folder), given.events))
            _measure(database, url, given.events, given.rounds)


def _measure(database: str, url: str, events: int, rounds: int) -> None:
    names = [FLOOR, *FORMATS]
    found = {name: [_in_a_process(url, name) for _ in range(rounds)] for name in names}
    floor = median(one["cpu"] for one in found[FLOOR])
    rows = []
    for name in names:
        seconds, cpu = (median(one[what] for one in found[name]) for what in ("seconds", "cpu"))
        growth = max(one["growth"] for one in found[name]) / MEBIBYTE
        size = found[name][0]["bytes"] / MEBIBYTE
        told = f"{events / seconds:,.0f}", f"{events / cpu:,.0f}", f"{cpu / floor:.1f}"
        rows.append([name, *told, f"{growth:.1f}", f"{size:,.0f}"])
    head = ["format", "events/s", "events/CPU s", "CPU x floor", "memory growth MiB", "size MiB"]
    print_table(f"Export of {events:,} events, {database}", head, rows)


def _in_a_process(url: str, name: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.export", "--child", url, name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


async def _child(url: str, name: str) -> dict[str, float]:
    with tempfile.TemporaryFile("w", encoding="utf-8", newline="") as out:
        store = CaseStore(url, Path())
        async with store.reading() as tx:
            await audit.last_id(tx)
        before, began, cpu = psutil.Process().memory_info().rss, time.perf_counter(), time.process_time()
        if name == FLOOR:
            await (_copy_sqlite if url.startswith("sqlite") else _copy_postgresql)(url, out.write)
        else:
            await audit.export(store, out, form=FORMATS[name], by=Actor.system("bench"), at=START)
        out.flush()
        seconds, used, size = time.perf_counter() - began, time.process_time() - cpu, out.tell()
        await store.close()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "cpu": used, "growth": max(0, most - before), "bytes": size}


async def _copy_sqlite(url: str, write: Callable[[str], object]) -> None:
    async with (
        aiosqlite.connect(make_url(url).database or "") as connection,
        connection.execute("SELECT body FROM audit_events ORDER BY id") as cursor,
    ):
        while rows := await cursor.fetchmany(500):
            for (body,) in rows:
                write(f"{body}\n")


async def _copy_postgresql(url: str, write: Callable[[str], object]) -> None:
    connection = await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    async with connection.transaction():
        async for row in connection.cursor("SELECT body FROM audit_events ORDER BY id", prefetch=500):
            write(f"{row[0]}\n")
    await connection.close()


async def _fill(url: str, folder: Path, events: int) -> None:
    """Write the events and seal them."""
    await migrate.upgrade(url)
    store = await CaseStore.open(Settings(home=folder, database_url=url))
    signer, began = keys.load_or_create(folder / "keys"), time.perf_counter()
    for first in range(0, events - 1, BATCH):  # the event of the export is one more
        async with store.transaction() as tx:
            await _append(tx, [_event(number) for number in range(first, min(first + BATCH, events - 1))])
    sealed = 0
    while (one := await sequencer.seal(store, signer, START)) is not None:
        sealed += one.events
    await store.close()
    print(f"{sealed:,} events of {len(_event(1).body(chain.Place(1, bytes(32)))):,} bytes and more made", end="")
    print(f" in {time.perf_counter() - began:.0f} s")


async def _append(tx: Tx, events: Sequence[Event]) -> None:
    await tx.session.run_sync(lambda session: chain.append(session.connection(), events, {}))


def _event(number: int) -> Event:
    """Make one of a mixture: mostly tasks, every tenth a piece of evidence."""
    of_evidence = number % 10 == 0
    changes: dict[str, tuple[object, object]] = {"state": ("waiting", "open"), "opened_at": (None, START)}
    if of_evidence:
        changes = {"name": (None, f"mail-{number}.eml"), "sha256": (None, f"{number:064x}"), "size": (None, number)}
    return Event(
        event_id=new_id(),
        at=START + timedelta(seconds=number),
        type="evidence.attached" if of_evidence else "task.opened",
        stream=f"case/{number % STREAMS:036d}",
        by=Actor.run("11111111-1111-7111-8111-111111111111") if number % 2 else Actor.person(f"p-{number % 40}"),
        request_id=f"request-{number}",
        subject=Subject("evidence" if of_evidence else "task", new_id(), 1),
        changes=changes,
        facts={"owner_rule": "role:tier1", "reason": "because the condition of the task was met, and nobody was asked"},
    )


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite+aiosqlite:///{folder / 'casewright.db'}"
        return
    url = postgres.server().set(drivername="postgresql+asyncpg", database=f"casewright_bench_{uuid4().hex[:8]}")
    postgres.on_server(f'CREATE DATABASE "{url.database}"')
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        postgres.on_server(f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)')


if __name__ == "__main__":
    main()
