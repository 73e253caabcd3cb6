"""The relay's own loop of sealing: which key it uses, and what it says when that is not the log's."""

import asyncio
import logging
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select

from case_store.audit import keys, log_keys, rotation, sequencer
from case_store.blobs import Blobs
from case_store.errors import StoreUnavailable
from case_store.models import AuditKey, AuditPending
from case_store.settings import Settings
from case_store.store import CaseStore, Tx
from flows.clock import now
from flows.relay import seal
from flows.relay.seal import seal_events
from flows.resources import Resources
from tests.store.making import BY
from tests.store.test_audit_tree import note


@asynccontextmanager
async def relay(store: CaseStore, folder: Path) -> AsyncIterator[None]:
    own = Resources(Settings(home=folder.parent, key_folder=folder), store, Blobs(store.blobs), {})
    task = asyncio.create_task(seal_events(own))
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await check():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "_LOOK_EVERY", 0.02)
    monkeypatch.setattr(seal, "_KEY_AGAIN", 0.05)


async def everything_sealed(store: CaseStore) -> bool:
    async with store.reading() as tx:
        return not await tx.session.scalar(select(func.count()).select_from(AuditPending))


async def test_with_another_key_it_leaves_sealing_to_others_until_it_has_the_right_one(
    store: CaseStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    await note(store, "a")
    await sequencer.seal(store, keys.load_or_create(right), now())
    keys.load_or_create(wrong)
    await note(store, "a")

    async def complained() -> bool:
        return any(
            "Nothing is sealed here" in one.message and "copy the key folder" in one.message for one in caplog.records
        )

    async with relay(store, wrong):
        await until(complained)
        assert not await everything_sealed(store)
        shutil.copy(right / keys.PRIVATE, wrong / keys.PRIVATE)
        await until(lambda: everything_sealed(store))
    assert keys.public_key(wrong) == keys.public_key(right)


async def test_a_database_that_is_away_while_it_waits_for_the_right_key_does_not_end_it(
    store: CaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    await note(store, "a")
    await sequencer.seal(store, keys.load_or_create(right), now())
    keys.load_or_create(wrong)
    await note(store, "a")
    current, away = log_keys.current, [StoreUnavailable("the database restarts") for _ in range(3)]

    async def restarting(tx: Tx) -> AuditKey | None:
        if away:
            raise away.pop()
        return await current(tx)

    monkeypatch.setattr(seal, "log_keys", SimpleNamespace(current=restarting))

    async def is_back() -> bool:
        return not away

    async with relay(store, wrong):
        await until(is_back)
        assert "the database restarts" in caplog.text
        shutil.copy(right / keys.PRIVATE, wrong / keys.PRIVATE)
        await until(lambda: everything_sealed(store))


async def test_it_goes_on_with_the_new_key_after_a_change(store: CaseStore, tmp_path: Path):
    folder = tmp_path / "keys"
    keys.load_or_create(folder)
    async with relay(store, folder):
        await note(store, "a")
        await until(lambda: everything_sealed(store))
        for destroy in (False, True):
            await rotation.rotate(store, folder, by=BY, at=now(), destroy_old=destroy)
            await note(store, "a")
            await until(lambda: everything_sealed(store))
    assert len(list(folder.glob("*.pem"))) == 2


async def test_it_finishes_a_change_of_the_key_that_was_interrupted(
    store: CaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "keys"
    await note(store, "a")
    await sequencer.seal(store, keys.load_or_create(folder), now())
    with monkeypatch.context() as broken:
        broken.setattr(keys, "take_next", lambda *_arguments, **_options: None)
        with pytest.raises(Exception, match="is not the one that signs"):
            await rotation.rotate(store, folder, by=BY, at=now())
    async with relay(store, folder):
        await until(lambda: everything_sealed(store))
    assert not (folder / keys.NEXT).exists()
    assert keys.load(folder).verifier() == keys.public_key(folder)


async def test_it_warns_when_events_waited_too_long(store: CaseStore, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async with store.transaction() as tx:
        tx.record("test.noted", None, by=BY, at=now() - timedelta(seconds=30), case="a")
    async with relay(store, tmp_path / "keys"):
        await until(lambda: everything_sealed(store))

        def waits() -> list[float]:
            warned = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
            found = [re.search(r"waited ([0-9.]+) s to be sealed; 2 s is the limit", text) for text in warned]
            return [float(one[1]) for one in found if one]

        async def warned() -> bool:
            return max(waits(), default=0) >= 30

        await until(warned)
        caplog.clear()
        await note(store, "a")  # its time is long ago, but the log was sealed a moment before
        await until(lambda: everything_sealed(store))
        assert max(waits(), default=0) < 20, "a busy machine may take its time, but not since long ago"
