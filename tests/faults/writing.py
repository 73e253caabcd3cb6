"""A process that writes to the case store with several writers at once, until it is killed."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from case_store import find
from case_store.audit.checkpoints import Signer
from case_store.audit.sequencer import seal
from case_store.errors import StoreError
from case_store.models import AuditEvent, Case
from case_store.settings import Settings
from case_store.store import CaseStore, Tx
from tests.store import kinds  # noqa: F401 - so that `test.acted` may be recorded
from tests.store.life import Life
from tests.store.world import ENGINE, NOW, World

SIGNER = Signer("test.example", Ed25519PrivateKey.from_private_bytes(bytes(32)))
"""The same in every process: one key signs for a log."""

WRITERS = 4


def write(url: str, home: Path, seed: int, acknowledged: Connection) -> None:
    """Do random verbs for ever; send request id and number of events of each transaction that is acknowledged."""
    asyncio.run(_write(url, home, seed, acknowledged))


async def _write(url: str, home: Path, seed: int, acknowledged: Connection) -> None:
    store = await CaseStore.open(Settings(home=home, database_url=url))
    async with store.reading() as tx:
        people = {handle: await find.person(tx, handle) for handle in ("ada", "bob", "mia", "max", "eve")}
        cases = (await tx.session.scalars(select(Case).order_by(Case.number))).all()
    worlds = [World(case, **people) for case in cases]
    async with asyncio.TaskGroup() as group:
        for number in range(WRITERS):  # some of them in the same case
            life = Life(store, worlds[number % len(worlds)], seed * WRITERS + number)
            group.create_task(_live(life, acknowledged))
        group.create_task(_seal(store))


async def _live(life: Life, acknowledged: Connection) -> None:
    for number in itertools.count():
        told: list[tuple[str, int]] = []
        done = life.done
        await life.step(number, _counting(told))
        if life.done > done:
            acknowledged.send_bytes(f"{told[0][0]} {told[0][1]}".encode())
        await asyncio.sleep(0)


def _counting(told: list[tuple[str, int]]) -> Callable[[Tx], Awaitable[None]]:
    async def count(tx: Tx) -> None:
        tx.record("test.acted", None, by=ENGINE, at=NOW)
        await tx.flush()
        wanted = select(func.count()).select_from(AuditEvent).where(AuditEvent.request_id == tx.request_id)
        told.append((tx.request_id, await tx.session.scalar(wanted) or 0))

    return count


async def _seal(store: CaseStore) -> None:
    for second in itertools.count():
        with contextlib.suppress(StoreError):  # the server was killed: this process is next
            await seal(store, SIGNER, NOW + timedelta(seconds=second))
        await asyncio.sleep(0.01)
