"""Those who take mails are killed at any moment, two are at it at once: each mail is taken once, and none is lost."""

import multiprocessing
import os
import random
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from sqlalchemy import func, select

from case_store import cases, find, tasks
from case_store.audit import fold
from case_store.blobs import Blobs
from case_store.models import Evidence, Note, OutboxEntry, Reply
from case_store.settings import Settings
from case_store.store import CaseStore
from sop.loader import loads
from tests.faults import collecting
from tests.faults.collecting import ADDRESSES, SPOOL
from tests.mails import mail
from tests.site import until
from tests.store import world
from tests.store.conftest import (
    database_url,
    postgres_copies,
    postgres_database,
    postgres_template,
    sqlite_database,
    sqlite_empty,
    sqlite_template,
)
from tests.store.world import ENGINE, NOW, SYSTEM

SEED = int(os.environ.get("CASEWRIGHT_TEST_SEED", "2026"))
SOP = "sop: many\nversion: 1\ntitle: Many\nstages:\n  - key: s\n    title: S\n    tasks:\n"
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.faults.collecting"])
__all__ = [
    "database_url",
    "postgres_copies",
    "postgres_database",
    "postgres_template",
    "sqlite_database",
    "sqlite_empty",
    "sqlite_template",
]


async def with_mails(url: str, home: Path, number: int) -> CaseStore:
    """A store with so many messages to Ada, and as many mails that answer them."""
    store = await CaseStore.open(Settings(home=home, database_url=url))
    lines = "".join(f'      - {{key: t{n}, title: T, owner: "user:ada"}}\n' for n in range(number))
    async with store.transaction() as tx:
        await world.people(tx)
        case = await cases.open_case(tx, loads(SOP + lines), "Many", by=SYSTEM, at=NOW)
        for n in range(number):
            task = await find.task_of(tx, case, f"t{n}")
            await tasks.ask(tx, task, parameters=None, due_at=None, by=ENGINE, at=NOW)
    (home / SPOOL).mkdir()
    async with store.reading() as tx:
        for n, entry in enumerate(await tx.session.scalars(select(OutboxEntry))):
            name = "says more" if n % 2 else "comment"
            content = mail(name, to=ADDRESSES.reply_to(entry.id), number=n)
            (home / SPOOL / f"{n:04}.eml").write_bytes(content)
            os.utime(home / SPOOL / f"{n:04}.eml", (0, 0))
    return store


async def count(store: CaseStore, kind: type) -> int:
    async with store.reading() as tx:
        return await tx.session.scalar(select(func.count()).select_from(kind)) or 0


async def has_taken(store: CaseStore, processes: list[BaseProcess], number: int) -> bool:
    return not any(one.is_alive() for one in processes) or await count(store, Reply) >= number


def start(url: str, home: Path, number: int) -> list[BaseProcess]:
    made = [_CONTEXT.Process(target=collecting.collect, args=(url, home), daemon=True) for _ in range(number)]
    for one in made:
        one.start()
    return made


@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.slow)])
async def test_who_is_killed_has_taken_each_once_or_not_at_all(database_url: str, tmp_path: Path, kills: int):
    number, chance, killed = kills * 6, random.Random(SEED), 0
    store = await with_mails(database_url, tmp_path, number)
    for _ in range(kills):
        more = await count(store, Reply) + chance.randint(1, 4)
        processes = start(database_url, tmp_path, 2)
        await until(partial(has_taken, store, processes, more), within=120, every=0.005)
        for one in processes:
            killed += one.is_alive()
            one.kill()
            one.join()
    assert killed, "nobody was killed while there was something to take"
    for one in start(database_url, tmp_path, 1):
        one.join()
    assert len(list((tmp_path / SPOOL / "taken").iterdir())) == number
    assert [await count(store, kind) for kind in (Reply, Note, Evidence)] == [number] * 3
    async with store.reading() as tx:
        assert [str(one) async for one in fold.differences(tx)] == []
        for one in await tx.session.scalars(select(Evidence)):
            assert await Blobs(store.blobs).read(one.sha256)
    await store.close()
