"""The writing part of `bench.audit`: changes with and without their audit events, and the sequencer."""

import asyncio
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from bench.audit_changes import (
    BY,
    WORDS,
    Change,
    Writer,
    core_audited,
    core_plain,
    open_cases,
    orm_audited,
    orm_grouped,
    orm_plain,
)
from case_store import migrate
from case_store.audit import catalogue
from case_store.audit.catalogue.kinds import COUNT, TEXT, UPDATE, Fact, kind
from case_store.audit.checkpoints import Signer
from case_store.audit.sequencer import seal
from case_store.engines import create_engines, parse_url
from case_store.group import GroupCommit
from case_store.settings import Settings
from case_store.store import CaseStore, _commit
from case_store.writer import WriterLock

_FACTS = (Fact("number", COUNT, "Which of them."), Fact("words", TEXT, "What fills it."))
catalogue.add([kind("bench.happened", UPDATE, "A measurement had something to say.", *_FACTS, streams="case")])

_WITHOUT_TRIGGERS = (
    "DO $$ DECLARE t name; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP"
    " EXECUTE format('ALTER TABLE %I DISABLE TRIGGER USER', t); END LOOP; END $$"
)


@dataclass(frozen=True)
class Turn:
    """What one turn of changes gave: how many a second, and milliseconds of CPU time that each took in this process."""

    rate: float
    cpu: float


@dataclass(frozen=True)
class Found:
    """Medians; `grouped` shares its COMMITs without audit, None where there are no groups; COMMITs for each audited."""

    plain: Turn
    grouped: Turn | None
    audited: Turn
    commits: float


async def measure_writing(
    urls: tuple[str, str], folder: Path, path: str, writers: int, notes: int, rounds: int, seconds: float
) -> Found:
    """Measure plain and audited in turn, so that both meet the same noise."""
    engine, store = await _plain(urls[0]), await _audited(urls[1], folder)
    unaudited = CaseStore(urls[0], folder)
    plain, audited = await open_cases(unaudited, writers, notes), await open_cases(store, writers, notes)
    await unaudited.close()
    await _without_triggers(engine)
    orm = path == "orm"
    ways: dict[str, tuple[Change, list[Writer]]] = {
        "plain": (orm_plain(engine) if orm else core_plain(engine), plain),
        "audited": (orm_audited(store) if orm else core_audited(store), audited),
    }
    group = _group(engine, folder) if orm and engine.dialect.name == "sqlite" else None
    if group is not None:
        ways["grouped"] = (orm_grouped(group.change), plain)
    turns, commits = await _in_turn(ways, store, rounds, seconds)
    if group is not None:
        await group.close()
    await engine.dispose()
    await store.close()
    return Found(turns["plain"], turns.get("grouped"), turns["audited"], commits)


async def _in_turn(
    ways: dict[str, tuple[Change, list[Writer]]], store: CaseStore, rounds: int, seconds: float
) -> tuple[dict[str, Turn], float]:
    commits = _commits_of(store)
    for change, people in ways.values():  # warm-up
        await _turn(change, people, 0.3)
    turns: dict[str, list[Turn]] = {name: [] for name in ways}
    per_change = []
    for _ in range(rounds):
        for name, (change, people) in ways.items():
            before = commits[0]
            turns[name].append(await _turn(change, people, seconds))
            if name == "audited":
                per_change.append((commits[0] - before) / (turns[name][-1].rate * seconds))
    medians = {
        name: Turn(median(one.rate for one in all_), median(one.cpu for one in all_)) for name, all_ in turns.items()
    }
    return medians, median(per_change)


async def _turn(change: Change, people: list[Writer], seconds: float) -> Turn:
    """Let all of them write for a while."""
    began, busy = time.perf_counter(), time.process_time()
    done = 0

    async def work(writer: Writer) -> None:
        nonlocal done
        while time.perf_counter() < began + seconds:
            await change(writer)
            done += len(writer.notes)

    await asyncio.gather(*(work(writer) for writer in people))
    return Turn(done / (time.perf_counter() - began), (time.process_time() - busy) / done * 1000)


def _group(engine: AsyncEngine, folder: Path) -> GroupCommit:
    sessions = async_sessionmaker(engine, autoflush=False, expire_on_commit=False)
    return GroupCommit(engine, WriterLock(folder / "plain.writer"), sessions, _commit)


async def _plain(url: str) -> AsyncEngine:
    await migrate.upgrade(url)
    return create_engines(parse_url(url)).writing


async def _audited(url: str, folder: Path) -> CaseStore:
    await migrate.upgrade(url)
    return await CaseStore.open(Settings(home=folder, database_url=url))


async def _without_triggers(engine: AsyncEngine) -> None:
    if engine.dialect.name == "sqlite":  # by a connection that is not ours: ours may not drop triggers
        with closing(sqlite3.connect(str(engine.url.database), isolation_level=None)) as strange:
            for (name,) in strange.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                strange.execute(f"DROP TRIGGER {name}")
    else:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(_WITHOUT_TRIGGERS)


def _commits_of(store: CaseStore) -> list[int]:
    counted = [0]

    def count(_connection: object) -> None:
        counted[0] += 1

    event.listen(store._engines.writing.sync_engine, "commit", count)  # noqa: SLF001
    return counted


async def measure_sequencer(url: str, folder: Path, events: int) -> float:
    """Return how many waiting events a second get their place in the tree."""
    store = await _audited(url, folder)
    for start in range(0, events, 1000):
        async with store.transaction() as tx:
            for number in range(start, min(start + 1000, events)):
                facts = {"number": number, "words": WORDS}
                tx.record("bench.happened", None, by=BY, at=_now(), case=f"c{number % 500}", facts=facts)
    signer = Signer("bench.example", Ed25519PrivateKey.generate())
    began, sealed = time.perf_counter(), 0
    while sealed < events:
        done = await seal(store, signer, _now())
        sealed += done.events if done else 0
    took = time.perf_counter() - began
    await store.close()
    return sealed / took


def _now() -> datetime:
    return datetime.now(UTC)
