"""What somebody with the database in hand did to the log is named; a clean log is silent."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store import migrate
from case_store.audit import inspection, sequencer
from case_store.audit.checkpoints import Checkpoint, Signer
from case_store.audit.keepsakes import Fault
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.store.acts import ACTS, Act, around_the_triggers
from tests.store.making import BY, LATER, NOW, add_case

SIGNER = Signer("test/audit", Ed25519PrivateKey.generate())
KEYS = [SIGNER.verifier()]
EVENTS = 24


async def fill(store: CaseStore, count: int = EVENTS) -> None:
    async with store.transaction() as tx:
        await add_case(tx)
    for number in range(count):
        async with store.transaction() as tx:
            tx.record("test.noted", None, by=BY, at=NOW, case=("a", "b", None)[number % 3], facts={"n": number})
        if number % 5 == 0:
            await sequencer.seal(store, SIGNER, NOW)


async def found(store: CaseStore, saved: Checkpoint | None = None) -> list[Fault]:
    async with store.reading() as tx:
        return [fault async for fault in inspection.faults(tx, KEYS, saved)]


async def test_a_clean_log_is_silent_sealed_or_not(store: CaseStore):
    assert await found(store) == []
    await fill(store)
    assert await found(store) == []  # the newest four are not in the tree yet
    await sequencer.seal(store, SIGNER, LATER)
    assert await found(store) == []


async def test_every_event_is_looked_at(store: CaseStore):
    await fill(store)
    seen: list[None] = []
    async with store.reading() as tx:
        assert not [one async for one in inspection.faults(tx, KEYS, seen=lambda: seen.append(None))]
    assert len(seen) == EVENTS + 3


async def test_another_key_has_not_signed(store: CaseStore):
    await fill(store)
    async with store.reading() as tx:
        other = Signer(SIGNER.name, Ed25519PrivateKey.generate()).verifier()
        faults = [fault.kind async for fault in inspection.faults(tx, [other])]
    assert set(faults) == {"altered"}
    async with store.reading() as tx:
        assert not [fault async for fault in inspection.faults(tx, [other, *KEYS])]


@pytest.fixture
async def sealed(tmp_path: Path) -> AsyncIterator[Path]:
    """The file of a log that is sealed to the end."""
    settings = Settings(home=tmp_path / "home")
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    await fill(store)
    await sequencer.seal(store, SIGNER, LATER)
    await store.close()
    return tmp_path / "home" / "casewright.db"


async def tampered(sealed: Path, act: Act, seed: int) -> list[Fault]:
    copy = sealed.with_name(f"{seed}.db")
    shutil.copy(sealed, copy)
    around_the_triggers(copy, act, seed)
    store = await CaseStore.open(Settings(home=sealed.parent, database_url=f"sqlite+aiosqlite:///{copy}"))
    try:
        return await found(store)
    finally:
        await store.close()
        copy.unlink()


@pytest.mark.parametrize("count", [4, pytest.param(100, marks=pytest.mark.slow)], ids=["short", "long"])
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_tampering_with_the_file_is_named(sealed: Path, act: Act, count: int):
    for seed in range(count):
        assert await tampered(sealed, act, seed), f"seed {seed}"


async def test_an_old_backup_is_a_rollback_for_whoever_saved_a_checkpoint(tmp_path: Path):
    settings = Settings(home=tmp_path)
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    await fill(store, 6)
    old = await sequencer.seal(store, SIGNER, LATER)
    await store.close()
    shutil.copy(tmp_path / "casewright.db", tmp_path / "backup.db")
    store = await CaseStore.open(settings)
    assert old is not None
    await fill_more(store)
    new = await sequencer.seal(store, SIGNER, LATER)
    assert new is not None
    before, after = Checkpoint.parse(old.note), Checkpoint.parse(new.note)
    assert await found(store, before) == []
    await store.close()
    backup = await CaseStore.open(Settings(home=tmp_path, database_url=f"sqlite+aiosqlite:///{tmp_path / 'backup.db'}"))
    assert [fault.kind for fault in await found(backup, after)] == ["rolled back"]
    await fill_more(backup, "other", 5)
    await sequencer.seal(backup, SIGNER, LATER)
    assert [fault.kind for fault in await found(backup, after)] == ["forked"]
    await backup.close()


async def fill_more(store: CaseStore, word: str = "more", count: int = 3) -> None:
    async with store.transaction() as tx:
        for _ in range(count):
            tx.record("test.noted", None, by=BY, at=NOW, facts={"text": word})
