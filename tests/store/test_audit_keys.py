"""The log's key over time: the old one names the new one, only the newest signs, and a crash leaves a working log."""

import asyncio
import os
import stat
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from case_store.audit import bundle, keyfile, keys, log_keys, rotation, sequencer, succession, verifier
from case_store.audit.checkpoints import Checkpoint, NoteRefused, Signer, opened
from case_store.audit.merkle import root_of
from case_store.audit.succession import KeyChange
from case_store.errors import AuditKeyUnusable, NotTheLogsKey
from case_store.models import AuditCheckpoint, AuditEvent, AuditKey
from case_store.store import CaseStore
from tests.store.bundles import Files
from tests.store.conftest import Sql
from tests.store.making import BY, LATER, NOW
from tests.store.test_audit_tree import leaves, newest, note


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


async def seal(store: CaseStore, signer: Signer) -> None:
    await note(store, "a")
    assert await sequencer.seal(store, signer, NOW) is not None


async def rotate(store: CaseStore, folder: Path, *, destroy_old: bool = False) -> rotation.Rotated:
    return await rotation.rotate(store, folder, by=BY, at=NOW, destroy_old=destroy_old)


async def write(store: CaseStore, folder: Path, out: Path) -> Path:
    async def sealing() -> None:
        await sequencer.seal(store, keys.load(folder), NOW)

    await bundle.write(store, out, bundle.Wanted(), by=BY, at=NOW, seal=sealing)
    return out


def said(path: Path, key: object, *, saved: str | None = None) -> tuple[int, str]:
    lines: list[str] = []
    code = verifier.verify(path, str(key), saved=saved, now=LATER, say=lines.append)
    return code, "\n".join(lines)


class TestRotation:
    async def test_has_the_new_key_sign_from_then_on(self, store: CaseStore, folder: Path):
        old = keys.load_or_create(folder)
        await seal(store, old)
        done = await rotate(store, folder)
        new = keys.load(folder)
        assert (done.old, done.new, done.resumed) == (old.verifier(), new.verifier(), False)
        assert new.name == old.name
        assert keys.public_key(folder) == new.verifier()
        await seal(store, new)
        assert Checkpoint.parse(opened(await newest(store), new.verifier())).root == root_of(await leaves(store))
        with pytest.raises(NotTheLogsKey):
            await sequencer.seal(store, old, LATER)

    async def test_is_on_record(self, store: CaseStore, folder: Path):
        await seal(store, keys.load_or_create(folder))
        await rotate(store, folder)
        async with store.reading() as tx:
            (event,) = await tx.session.scalars(select(AuditEvent).where(AuditEvent.type == "audit.key_changed"))
            (statement,) = await log_keys.statements(tx)
        assert (event.stream, event.actor_id) == ("system", BY.id)
        assert str(keys.public_key(folder)) in event.body
        assert KeyChange.parse(statement).new == keys.public_key(folder)

    async def test_keeps_the_old_key_where_its_owner_alone_reads_it(self, store: CaseStore, folder: Path):
        old = keys.load_or_create(folder)
        done = await rotate(store, folder)
        assert done.kept is not None
        assert stat.S_IMODE(done.kept.stat().st_mode) == 0o600
        assert keyfile.load(done.kept, "{}").private.private_bytes_raw() == old.private.private_bytes_raw()

    async def test_destroys_the_old_key_if_that_is_asked(self, store: CaseStore, folder: Path):
        keys.load_or_create(folder)
        done = await rotate(store, folder, destroy_old=True)
        assert done.kept is None
        assert sorted(one.name for one in folder.iterdir()) == [keys.PRIVATE, keys.PUBLIC]

    async def test_is_refused_where_the_folder_has_another_key(self, store: CaseStore, folder: Path, tmp_path: Path):
        await seal(store, keys.load_or_create(folder))
        other = tmp_path / "other"
        before = keys.load_or_create(other)
        with pytest.raises(NotTheLogsKey, match="is not the one that signs"):
            await rotate(store, other)
        assert keys.load(other).verifier() == before.verifier()
        with pytest.raises(AuditKeyUnusable):
            await rotate(store, tmp_path / "nothing")

    async def test_twice_at_once_leaves_one_key_for_all(self, store: CaseStore, folder: Path):
        keys.load_or_create(folder)
        await asyncio.gather(*(rotate(store, folder) for _ in range(3)), return_exceptions=True)
        async with store.reading() as tx:
            row = await log_keys.current(tx)
        assert row is not None
        assert row.vkey == str(keys.load(folder).verifier()) == str(keys.public_key(folder))
        await seal(store, keys.load(folder))


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@contextmanager
def killed_at(module: object, name: str, *, after: bool) -> Iterator[None]:
    real = getattr(module, name)

    def kill(*arguments, **options):
        if after:
            real(*arguments, **options)
        raise Killed

    with patch.object(module, name, kill), pytest.raises(Killed):
        yield


@pytest.mark.parametrize(
    ("module", "name", "after"),
    [
        (keyfile, "create", False),
        (keyfile, "create", True),
        (succession, "state", True),
        (keys, "take_next", False),
        (os, "link", True),
        (keyfile, "publish", False),
    ],
    ids=["before the next key", "with it", "within the transaction", "after it", "old key kept", "before the vkey"],
)
async def test_a_kill_in_the_middle_leaves_a_working_log(
    store: CaseStore, folder: Path, tmp_path: Path, module: object, name: str, after: bool
):
    """The relay, which finds that its key is not the log's, finishes what was begun; or the command does."""
    first = keys.load_or_create(folder)
    await seal(store, first)
    with killed_at(module, name, after=after):
        await rotate(store, folder)
    signer = keys.load(folder)
    try:
        await seal(store, signer)
    except NotTheLogsKey as error:
        found = keys.take_next(folder, error.current)
        assert found is not None
        await seal(store, found)
    await rotate(store, folder)
    await seal(store, keys.load(folder))
    path = await write(store, folder, tmp_path / "all.zip")
    assert said(path, first.verifier())[0] == said(path, keys.public_key(folder))[0] == 0


class TestAMachineWithAnotherKey:
    async def test_signs_nothing_and_says_what_to_do(self, store: CaseStore, folder: Path, tmp_path: Path):
        right, wrong = keys.load_or_create(folder), keys.load_or_create(tmp_path / "other")
        await seal(store, right)
        await note(store, "a")
        with pytest.raises(NotTheLogsKey, match=right.name) as refused:
            await sequencer.seal(store, wrong, LATER)
        assert "copy the key folder" in refused.value.diagnostics()
        sealed = await sequencer.seal(store, right, LATER)
        assert sealed is not None
        assert sealed.events == 1
        assert keys.take_next(tmp_path / "other", refused.value.current) is None

    async def test_does_not_become_the_logs_when_the_log_is_older_than_the_table_of_keys(
        self, store: CaseStore, folder: Path, tmp_path: Path, sql: Sql
    ):
        right, wrong = keys.load_or_create(folder), keys.load_or_create(tmp_path / "other")
        text = Checkpoint(right.name, 0, bytes(32)).text()
        await sql(
            "INSERT INTO audit_checkpoints (size, at, note) VALUES"
            f" (0, '2026-03-01 00:00:00', '{right.sign_at(text, 1)}')"
        )
        await note(store, "a")
        with pytest.raises(NotTheLogsKey):
            await sequencer.seal(store, wrong, LATER)
        assert await sequencer.seal(store, right, LATER) is not None
        async with store.reading() as tx:
            assert [row.vkey for row in await log_keys.history(tx)] == [str(right.verifier())]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_keys SET vkey = 'mine'",
        "DELETE FROM audit_keys",
        "UPDATE audit_nodes SET idx = 7",
        "DELETE FROM audit_cosignatures",
    ],
)
async def test_keys_nodes_and_cosignatures_are_never_changed(store: CaseStore, folder: Path, sql: Sql, statement: str):
    await seal(store, keys.load_or_create(folder))
    await sql("INSERT INTO audit_nodes SELECT 1, 0, head FROM audit_streams LIMIT 1")
    await sql("INSERT INTO audit_cosignatures VALUES (1, 'w', '2026-03-01 00:00:00', 'line')")
    with pytest.raises(Exception, match=r"never|kept as they are"):
        await sql(statement)


class TestTheVerifier:
    @pytest.fixture
    async def made(self, sqlite_store: CaseStore, folder: Path, tmp_path: Path) -> tuple[Path, list[Signer], str]:
        """A bundle after two changes of the key, the three keys, and a checkpoint that the first one signed."""
        signers = [keys.load_or_create(folder)]
        await seal(sqlite_store, signers[0])
        saved = await newest(sqlite_store)
        for _ in range(2):
            await rotate(sqlite_store, folder)
            signers.append(keys.load(folder))
            await seal(sqlite_store, signers[-1])
        return await write(sqlite_store, folder, tmp_path / "all.zip"), signers, saved

    async def test_follows_the_statements_from_any_key_to_the_newest(self, made):
        path, signers, saved = made
        told = ["2 later", "1 later", "your key is the newest"]
        for signer, words in zip(signers, told, strict=True):
            code, lines = said(path, signer.verifier(), saved=saved)
            assert (code, words in lines) == (0, True), lines
            assert str(signers[-1].verifier()) in lines or words == told[-1]

    async def test_does_not_follow_the_statement_of_an_unrelated_key(self, made, tmp_path: Path):
        path, signers, _ = made
        thief = [Signer(signers[0].name, Ed25519PrivateKey.generate()) for _ in range(2)]
        files = Files.of(path)
        text = (files.checkpoint or "").rpartition("\n\n")[0] + "\n"
        forged = Files(files.events, thief[1].sign_at(text, int(NOW.timestamp())), dict(files.rest))
        unrelated = succession.state(thief[0], thief[1], NOW)
        lie = KeyChange("2026-01-01T00:00:00Z", signers[0].verifier(), thief[1].verifier()).text()
        by_thief = thief[0].sign(lie) + thief[1].sign(lie).removeprefix(f"{lie}\n")
        line = b64encode(signers[0].verifier().key_id + thief[0].private.sign(lie.encode())).decode()
        borrowed_id = by_thief.replace(by_thief.splitlines()[6], f"\N{EM DASH} {signers[0].name} {line}")
        own = files.rest["keys.txt"].decode()
        for statements in (
            unrelated,
            by_thief,
            borrowed_id,
            succession.joined([own, unrelated]),
            succession.joined([own, by_thief]),
        ):
            forged.rest["keys.txt"] = statements.encode()
            for signer in signers:
                assert said(forged.write(tmp_path / "forged.zip"), signer.verifier())[0] == 10

    async def test_accepts_no_checkpoint_that_an_older_key_signs_afterwards(self, made, tmp_path: Path):
        path, signers, _ = made
        files = Files.of(path)
        text = (files.checkpoint or "").rpartition("\n\n")[0] + "\n"
        late = Files(files.events, signers[0].sign_at(text, int(NOW.timestamp())), files.rest)
        for signer in signers:
            assert said(late.write(tmp_path / "late.zip"), signer.verifier())[0] == 10

    async def test_of_a_bundle_from_before_the_change_needs_the_old_key(
        self, sqlite_store: CaseStore, folder: Path, tmp_path: Path
    ):
        old = keys.load_or_create(folder)
        path = await write(sqlite_store, folder, tmp_path / "old.zip")
        await rotate(sqlite_store, folder)
        assert said(path, old.verifier())[0] == 0
        assert said(path, keys.public_key(folder))[0] == 10


def test_a_statement_needs_both_keys_and_one_log():
    one, two, stranger = (Signer("soc.example/audit", Ed25519PrivateKey.generate()) for _ in range(3))
    good = succession.state(one, two, NOW)
    assert KeyChange.parse(good).old == one.verifier()
    lines = good.splitlines(keepends=True)
    text = "".join(lines[:5])
    for bad in (
        "".join(lines[:-1]),
        "".join(lines[:-2] + lines[-1:]),
        one.sign(text) + stranger.sign(text).removeprefix(f"{text}\n"),
        good.replace(lines[2], "2020-01-01T00:00:00Z\n"),
        good.replace("casewright-key-change/1", "casewright-key-change/2"),
        one.sign_at(Checkpoint(one.name, 3, bytes(32)).text(), 1),
        "",
    ):
        with pytest.raises(NoteRefused):
            KeyChange.parse(bad)
    with pytest.raises(NoteRefused):
        succession.state(one, Signer("other.example/audit", two.private), NOW)


async def test_a_log_has_one_first_key_however_many_begin_at_once(store: CaseStore, tmp_path: Path):
    signers = [keys.load_or_create(tmp_path / str(number)) for number in range(3)]
    await note(store, "a", 3)
    results = await asyncio.gather(*(sequencer.seal(store, signer, NOW) for signer in signers), return_exceptions=True)
    assert sum(isinstance(one, sequencer.Sealed) for one in results) == 1, results
    async with store.reading() as tx:
        assert await tx.session.scalar(select(func.count()).select_from(AuditKey)) == 1
        assert await tx.session.scalar(select(func.count()).select_from(AuditCheckpoint)) == 1
