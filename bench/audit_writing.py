"""The writing part of `bench.audit`: changes with and without their audit events, and the sequencer."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from case_store import migrate
from case_store.actor import Actor
from case_store.audit import catalogue
from case_store.audit.catalogue.kinds import COUNT, TEXT, UPDATE, Fact, kind
from case_store.audit.chain import append
from case_store.audit.checkpoints import Signer
from case_store.audit.events import Event, Subject
from case_store.audit.sequencer import seal
from case_store.engines import create_engines, parse_url
from case_store.ids import new_id
from case_store.models import Base, Case, Note, NoteRevision, SopDocument
from case_store.settings import Settings
from case_store.store import CaseStore

_FACTS = (Fact("number", COUNT, "Which of them."), Fact("words", TEXT, "What fills it."))
catalogue.add([kind("bench.happened", UPDATE, "A measurement had something to say.", *_FACTS, streams="case")])

WRITERS = (1, 8)
BY = Actor.system("bench")
WORDS = "The sender is on the list of the last campaign; see the header, and the second link. " * 2
_NOTES, _REVISIONS = Base.metadata.tables["notes"], Base.metadata.tables["note_revisions"]
_WITHOUT_TRIGGERS = (
    "DO $$ DECLARE t name; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP"
    " EXECUTE format('ALTER TABLE %I DISABLE TRIGGER USER', t); END LOOP; END $$"
)


@dataclass(frozen=True)
class Found:
    """Medians: changes a second, and COMMITs for each audited change."""

    plain: float
    audited: float
    commits: float


@dataclass
class Writer:
    """Somebody who words a note anew, again and again; `body` and `revision` are what it says now."""

    case_id: str
    note_id: str
    body: str = WORDS
    revision: int = 1

    def next(self) -> str:
        """Return the next wording."""
        self.revision += 1
        return f"{WORDS}{self.revision}"


Change = Callable[[Writer], Awaitable[None]]


async def measure_writing(
    urls: tuple[str, str], folder: Path, path: str, writers: int, rounds: int, seconds: float
) -> Found:
    """Measure plain and audited in turn, so that both meet the same noise."""
    engine, store = await _plain(urls[0]), await _audited(urls[1], folder)
    unaudited = CaseStore(urls[0], folder)
    ways: list[tuple[Change, list[Writer]]] = [
        (_orm_plain(engine) if path == "orm" else _core_plain(engine), await _writers(unaudited, writers)),
        (_orm_audited(store) if path == "orm" else _core_audited(store), await _writers(store, writers)),
    ]
    await unaudited.close()
    await _without_triggers(engine)
    commits = _commits_of(store)
    for change, people in ways:  # warm-up
        await _rate(change, people, 0.3)
    rates: list[list[float]] = [[], []]
    per_change = []
    for _ in range(rounds):
        rates[0].append(await _rate(*ways[0], seconds))
        before = commits[0]
        rates[1].append(await _rate(*ways[1], seconds))
        per_change.append((commits[0] - before) / (rates[1][-1] * seconds))
    await engine.dispose()
    await store.close()
    return Found(median(rates[0]), median(rates[1]), median(per_change))


async def _rate(change: Change, people: list[Writer], seconds: float) -> float:
    """Return how many changes a second all of them make together."""
    began = time.perf_counter()
    done = 0

    async def work(writer: Writer) -> None:
        nonlocal done
        while time.perf_counter() < began + seconds:
            await change(writer)
            done += 1

    await asyncio.gather(*(work(writer) for writer in people))
    return done / (time.perf_counter() - began)


def _orm_plain(engine: AsyncEngine) -> Change:
    async def change(writer: Writer) -> None:
        async with AsyncSession(engine, autoflush=False, expire_on_commit=False) as session:
            note = await session.get_one(Note, writer.note_id)
            session.add(_revised(note, writer))
            await session.commit()

    return change


def _orm_audited(store: CaseStore) -> Change:
    async def change(writer: Writer) -> None:
        async with store.transaction() as tx:
            note = await tx.session.get_one(Note, writer.note_id)
            tx.session.add(_revised(note, writer))
            tx.record("note.revised", note, by=BY, at=_now())

    return change


def _revised(note: Note, writer: Writer) -> NoteRevision:
    now = _now()
    note.body, note.revision, note.revised_at = writer.next(), writer.revision, now
    return NoteRevision(note_id=note.id, revision=note.revision, body=note.body, at=now, by=str(BY))


def _core_plain(engine: AsyncEngine) -> Change:
    async def change(writer: Writer) -> None:
        values, revision, _ = _wording(writer)
        async with engine.begin() as connection:
            await connection.execute(update(_NOTES).where(_NOTES.c.id == writer.note_id), values)
            await connection.execute(insert(_REVISIONS), revision)

    return change


def _core_audited(store: CaseStore) -> Change:
    async def change(writer: Writer) -> None:
        values, revision, happened = _wording(writer)
        async with store.transaction() as tx:
            connection = await tx.session.connection()
            await connection.run_sync(append, [happened], {})
            await connection.execute(update(_NOTES).where(_NOTES.c.id == writer.note_id), values)
            await connection.execute(insert(_REVISIONS), revision)

    return change


def _wording(writer: Writer) -> tuple[dict[str, object], dict[str, object], Event]:
    now, before = _now(), writer.body
    writer.body = writer.next()
    revision = writer.revision
    values = {"body": writer.body, "revision": revision, "revised_at": now, "version": revision}
    row = {"note_id": writer.note_id, "revision": revision, "body": writer.body, "at": now, "by": str(BY)}
    happened = Event(
        event_id=new_id(),
        at=now,
        type="note.revised",
        stream=f"case/{writer.case_id}",
        by=BY,
        request_id=new_id(),
        subject=Subject("note", writer.note_id, revision),
        changes={"body": (before, writer.body), "revision": (revision - 1, revision)},
    )
    return values, row, happened


def _now() -> datetime:
    return datetime.now(UTC)


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


async def _writers(store: CaseStore, count: int) -> list[Writer]:
    """Open a case with one note for each writer."""
    found = []
    for number in range(1, count + 1):
        async with store.transaction() as tx:
            sop = SopDocument(digest=new_id().ljust(64, "0"), key="bench", version=1, text="sop: bench")
            pinned = {"sop_key": sop.key, "sop_version": sop.version, "sop_digest": sop.digest}
            case = Case(number=number, title="Odd mail", severity="low", opened_at=_now(), opened_by=str(BY), **pinned)
            note = Note(case_id=case.id, author=str(BY), body=WORDS, written_at=_now())
            tx.session.add_all([sop, case, note])
            facts = {"key": sop.key, "version": sop.version, "sha256": sop.digest}
            tx.record("sop.pinned", None, by=BY, at=_now(), facts=facts)
            tx.record("case.opened", case, by=BY, at=_now())
            tx.record("note.added", note, by=BY, at=_now())
            found.append(Writer(case.id, note.id))
    return found


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
