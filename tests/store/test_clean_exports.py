"""No false alarm: exports of logs that nobody touched verify, whatever happened in them and however they are made.

Twelve with every `make test`, two hundred with `make faults`. By its seed a log is in SQLite or PostgreSQL, after an
erasure or not, after a change of the key or not, confirmed by a witness or not, stamped by an authority or not; each is
exported whole and by case, with or without personal values and evidence, and checked with all that a caller can
demand of it.
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from case_store import evidence, find, privacy, views
from case_store.audit import (
    bundle,
    inspection,
    keys,
    log_keys,
    rotation,
    sequencer,
    succession,
    timestamps,
    verifier,
    witnesses,
)
from case_store.audit.checkpoints import Signer
from case_store.audit.trail import newest_checkpoint
from case_store.audit.witness_memory import Memory, load_or_create_key
from case_store.blobs import Blobs
from case_store.models import Evidence
from case_store.settings import Settings
from case_store.store import CaseStore
from tests import tsa
from tests.store.bundles import STREAMS
from tests.store.making import BY, NOW, add_case, add_person

LOGS = [*range(12), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(12, 200))]


TAKEN: tuple[dict[str, Any], ...] = ({}, {"personal": False}, {"blobs": None}, {"personal": False, "blobs": None})


@dataclass
class Log:
    """A log, with what signs, confirms and stamps it."""

    store: CaseStore
    folder: Path
    chance: random.Random
    authority: tsa.Authority
    saved: list[str] = field(default_factory=list)
    witness: Memory | None = None
    stamped: bool = False

    @property
    def signer(self) -> Signer:
        return keys.load(self.folder / "keys")

    async def seal(self) -> None:
        await sequencer.seal(self.store, self.signer, NOW)
        async with self.store.reading() as tx:
            newest = await newest_checkpoint(tx)
        assert newest is not None
        self.saved.append(newest.note)
        if self.witness is not None:
            await self._have_confirmed(self.witness)

    async def _have_confirmed(self, memory: Memory) -> None:
        async with self.store.reading() as tx:
            newest, known = await newest_checkpoint(tx), memory.seen.get(self.signer.name)
            assert newest is not None
            request = await witnesses.request(tx, newest, known.size if known else 0)
        assert request is not None
        trusted = {self.signer.name: [self.signer.verifier()]}
        _, line = memory.confirm(request, trusted, int(NOW.timestamp()))
        async with self.store.transaction() as tx:
            await witnesses.keep(tx, newest, memory._signer.verifier().as_witness(), line)

    async def stamp(self) -> None:
        async with self.store.reading() as tx:
            due = await timestamps.due(tx, NOW, timedelta())
        if due is None:
            return
        asked = timestamps.request_for(due.note)
        answer = self.authority.stamp(asked.as_bytes())
        known = timestamps.Authority(self.authority.url)
        at = timestamps.read(answer, asked, due.note, known)
        async with self.store.transaction() as tx:
            await timestamps.keep(tx, due, known, answer, at)
        self.stamped = True

    async def note(self) -> None:
        async with self.store.transaction() as tx:
            case = await find.case(tx, 1)
            for _ in range(self.chance.randrange(1, 12)):
                of = self.chance.choice((*STREAMS, case.id))
                tx.record("test.noted", None, by=BY, at=NOW, case=of, facts={"text": f"é{self.chance.random()}"})

    async def erase(self) -> None:
        """A person, or what is personal in a piece of evidence, with its file."""
        async with self.store.transaction() as tx:
            if self.chance.random() < 0.5:
                person = await find.person(tx, "ann")
                await privacy.erase_person(tx, person, basis="Art. 17", ticket=None, by=BY, at=NOW)
                return
            case, row = await find.case(tx, 1), (await tx.session.scalars(select(Evidence))).first()
            assert row is not None
            done = await privacy.redact(tx, case, row.id, basis="Art. 17", by=BY, at=NOW)
        for digest in done.files:
            await Blobs(self.store.blobs).forget(digest)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tsa.Authority]:
    folder = tmp_path_factory.mktemp("authority") / "tsa"
    with asyncio.Runner() as runner:
        running = tsa.running(folder)
        yield runner.run(running.__aenter__())
        runner.run(running.__aexit__(None, None, None))


@pytest.mark.parametrize("seed", LOGS)
async def test_a_log_that_nobody_touched_raises_no_alarm(
    request: pytest.FixtureRequest, tmp_path: Path, authority: tsa.Authority, seed: int
):
    kind = "sqlite_database" if seed % 2 else "postgres_database"
    settings = Settings(home=tmp_path, database_url=str(request.getfixturevalue(kind)))
    store = await CaseStore.open(settings)
    try:
        log = Log(store, tmp_path, random.Random(seed), authority)
        await _live(log, rotates=bool(seed & 2), erases=bool(seed & 4), seen=bool(seed & 8), stamped=seed % 3 == 0)
        for turn, number in enumerate((None, 1)):
            await _require_silence(log, number, TAKEN[(seed + turn) % len(TAKEN)])
        async with store.reading() as tx:
            every = succession.linked(await log_keys.statements(tx), log.signer.verifier())
            assert [fault async for fault in inspection.faults(tx, every)] == []
    finally:
        await store.close()


async def _live(log: Log, *, rotates: bool, erases: bool, seen: bool, stamped: bool) -> None:
    """Let a log have a history."""
    keys.load_or_create(log.folder / "keys")
    if seen:
        log.witness = Memory(log.folder / "witness", load_or_create_key(log.folder / "witness", "w.example/w1"))
    await log.seal()  # also the empty log is signed
    async with log.store.transaction() as tx:
        add_person(tx)
        case, *_ = await add_case(tx)
        for name in ("one", "two"):
            await evidence.attach(tx, case, Blobs(log.store.blobs), name=name, content=name.encode(), by=BY, at=NOW)
    for step in range(3):
        await log.note()
        await log.seal()
        if stamped and step != 1:
            await log.stamp()
        if erases and step == 1:
            await log.erase()
        if rotates and step == 1:
            await rotation.rotate(log.store, log.folder / "keys", by=BY, at=NOW)


async def _require_silence(log: Log, number: int | None, take: dict[str, Any]) -> None:
    async with log.store.reading() as tx:
        case = await find.case(tx, number) if number else None
    report = partial(views.report, case=case, by="ann", at=NOW) if case and not take else None
    wanted = bundle.Wanted(**{"case": case, "blobs": Blobs(log.store.blobs), "report": report, **take})
    known = (log.witness._signer.verifier().as_witness(),) if log.witness else ()
    wait = bundle.Wait(10, known)
    out = log.folder / "out.zip"
    done = await bundle.write(log.store, out, wanted, by=BY, at=NOW, seal=log.seal, wait=wait)
    assert (done.unwitnessed, done.evidence.missing, done.evidence.altered) == ((), (), ())
    lines: list[str] = []
    code = verifier.verify(
        out,
        str(log.signer.verifier()),
        saved=log.chance.choice(log.saved),
        max_age=timedelta(minutes=6),
        must_be_sealed=True,
        witnesses=[str(key) for key in known],
        processes=2 if log.chance.random() < 0.1 else 1,
        authority=log.authority.roots if log.stamped else None,
        now=NOW + timedelta(minutes=5),
        say=lines.append,
    )
    assert code == 0, "\n".join(lines)
