"""Bundles: a stranger verifies them, however odd they are. What is tampered with is in `test_tampering.py`."""

import asyncio
import json
import os
import random
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store import find, privacy
from case_store.audit import bundle, sequencer, verifier
from case_store.audit.checkpoints import Signer
from case_store.errors import ClocksDiffer, ErasedMeanwhile, NotSealed
from case_store.store import CaseStore
from tests.store import tampering
from tests.store.bundles import KEY, SIGNER, Files, canonical, filled, make, said, signed, verdict
from tests.store.making import BY, NOW, add_person
from tests.store.tampering import Change, cut_the_tail, rewrite_to_the_end

CHANGES = (
    tampering.flip_a_bit,
    tampering.edit_a_field,
    tampering.delete_one,
    tampering.insert_one,
    tampering.swap_two,
    tampering.cut_the_tail,
    tampering.rewrite_to_the_end,
    tampering.change_the_checkpoint,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    """Bundles of one log."""
    return asyncio.run(make(tmp_path_factory.mktemp("log")))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("scope", ["all", "case"])
def test_several_processes_say_the_same_as_one(
    made: dict[str, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str, change: Change
):
    """Word for word, also what is found in the middle of a block."""
    monkeypatch.setattr(verifier, "_MANY_LINES", 3)
    changed = change(made[scope], random.Random(7)).write(tmp_path / "changed.zip")
    assert said(changed, processes=2) == said(changed, processes=1)


def test_a_helping_process_that_is_ended_is_no_verdict(
    made: dict[str, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(verifier, "form_of", lambda _line: os._exit(9))
    word, lines = said(made["all"].write(tmp_path / "all.zip"), processes=2)
    assert word == "unreadable"
    assert "--processes 1" in lines[-1]


@pytest.mark.parametrize("seed", range(20))
def test_a_past_rewritten_with_the_logs_own_key_is_a_fork_for_whoever_saved_a_checkpoint(
    made: dict[str, Files], tmp_path: Path, seed: int
):
    saved = made["old"].checkpoint
    before = int((saved or "").split("\n")[1])
    events = made["all"].events
    forged = rewrite_to_the_end(replace(made["all"], events=events[:before]), random.Random(seed))
    forged = signed(replace(forged, events=(*forged.events, *events[before:])), SIGNER)
    assert verdict(forged.write(tmp_path / "forged.zip"), saved=saved) in {"forked", "altered"}
    whole = signed(rewrite_to_the_end(made["all"], random.Random(seed)), SIGNER).write(tmp_path / "whole.zip")
    assert verdict(whole, saved=saved) in {"forked", "ok"}
    if json.loads(made["all"].events[0]) != json.loads(Files.of(whole).events[0]):
        assert verdict(whole, saved=saved) == "forked"


@pytest.mark.parametrize("stream", ["case/a", "case/new"])
def test_an_event_put_in_by_hand_is_found_even_when_the_log_has_sealed_it(
    made: dict[str, Files], tmp_path: Path, stream: str
):
    """Old events have no numbers; the new one pretends to be old, at the end of a stream or in one of its own."""
    body = {**json.loads(made["all"].events[-1]), "event_id": "by-hand", "stream": stream, "schema_v": 1}
    del body["seq"], body["prev"]
    forged = signed(replace(made["all"], events=(*made["all"].events, canonical(body))), SIGNER)
    assert verdict(forged.write(tmp_path / "forged.zip")) == "altered"


def test_a_log_that_stopped_is_stale(made: dict[str, Files], tmp_path: Path):
    path = made["all"].write(tmp_path / "all.zip")
    assert verdict(path, age=timedelta(hours=1)) == "ok"
    assert verdict(path, age=timedelta(minutes=1)) == "stale"


def test_events_after_the_checkpoint_are_counted_as_unsealed(made: dict[str, Files], tmp_path: Path):
    body = {**json.loads(made["all"].events[0]), "event_id": "newer", "stream": "case/newer"}
    path = replace(made["all"], events=(*made["all"].events, canonical(body))).write(tmp_path / "unsealed.zip")
    assert verdict(path) == "ok"
    assert verdict(path, sealed=True) == "unsealed"


def test_a_report_that_is_not_the_one_that_was_exported_is_found(made: dict[str, Files], tmp_path: Path):
    rest, path = made["case"].rest, tmp_path / "case.zip"
    changed = {**rest, "report.html": rest["report.html"].replace(b"Odd mail", b"Good mail")}
    assert changed != rest
    assert verdict(replace(made["case"], rest=changed).write(path)) == "altered"
    without = {name: content for name, content in rest.items() if name != "report.html"}
    assert verdict(replace(made["case"], rest=without).write(path)) == "missing"
    added = {**made["all"].rest, "report.html": rest["report.html"]}
    assert verdict(replace(made["all"], rest=added).write(path)) == "altered"


async def test_without_a_relay_nothing_is_written(tmp_path: Path):
    store = await filled(tmp_path / "home", 3, seed=1)

    async def nobody() -> None:
        pass

    with pytest.raises(NotSealed):
        await bundle.write(
            store, tmp_path / "out.zip", bundle.Wanted(), by=BY, at=NOW, seal=nobody, wait=bundle.Wait(0.3)
        )
    assert not list(tmp_path.glob("*.zip*"))
    assert not list(tmp_path.glob(".*.part"))
    await store.close()


async def test_a_clock_that_differs_from_the_relays_is_refused_and_no_bundle_raises_a_false_alarm(tmp_path: Path):
    store = await filled(tmp_path / "home", 3, seed=1)
    for minutes in (-11, 11):
        relays = NOW + timedelta(minutes=minutes)
        with pytest.raises(ClocksDiffer, match="its checkpoint is of 2026-03-02"):
            await _write(store, tmp_path / "out.zip", seal=lambda at=relays: sequencer.seal(store, SIGNER, at))
    assert not list(tmp_path.glob("*.zip*"))
    relays = NOW + timedelta(minutes=9)
    await _write(store, tmp_path / "out.zip", seal=lambda: sequencer.seal(store, SIGNER, relays))
    assert verdict(tmp_path / "out.zip") == "ok"
    await store.close()


async def test_values_that_are_erased_before_they_are_written_are_not_missing_from_a_bundle(tmp_path: Path):
    """The event of the export says how many there are; one that says too many would be called cut."""
    store = await filled(tmp_path / "home", 3, seed=1)
    async with store.transaction() as tx:
        person = add_person(tx)

    to_erase = [person.id]

    async def erase_then_seal() -> None:
        while to_erase:
            async with store.transaction() as tx:
                found = await find.person(tx, to_erase.pop())
                await privacy.erase_person(tx, found, basis="Art. 17", ticket=None, by=BY, at=NOW)
        await sequencer.seal(store, SIGNER, NOW)

    with pytest.raises(ErasedMeanwhile):
        await _write(store, tmp_path / "out.zip", seal=erase_then_seal)
    assert not list(tmp_path.glob("*.zip*"))
    await _write(store, tmp_path / "out.zip", seal=lambda: sequencer.seal(store, SIGNER, NOW))
    assert verdict(tmp_path / "out.zip") == "ok"
    await store.close()


async def test_two_who_export_into_one_file_at_once_leave_a_whole_bundle_and_its_owner_alone_reads_it(tmp_path: Path):
    store, out = await filled(tmp_path / "home", 3, seed=1), tmp_path / "out.zip"
    writing = [_write(store, out, seal=lambda: sequencer.seal(store, SIGNER, NOW)) for _ in range(3)]
    await asyncio.gather(*writing)
    assert verdict(out) == "ok"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".*.part"))
    await store.close()


async def _write(store: CaseStore, out: Path, *, seal: Callable[[], Awaitable[object]]) -> bundle.Bundled:
    return await bundle.write(store, out, bundle.Wanted(), by=BY, at=NOW, seal=seal)


def test_a_stranger_runs_the_verifier_that_is_in_the_bundle(made: dict[str, Files], tmp_path: Path):
    made["case"].write(tmp_path / "case.zip")
    (tmp_path / "verify.py").write_bytes(made["case"].rest["verify.py"])
    (tmp_path / "log.vkey").write_text(f"{KEY}\n")
    command = [sys.executable, "-I", "verify.py", "case.zip", "--key", "log.vkey"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Everything holds" in done.stdout
    cut_the_tail(made["case"], random.Random(1)).write(tmp_path / "case.zip")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode in {10, 11, 12}


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04"])
def test_what_is_no_bundle_is_said_to_be_none(tmp_path: Path, content: bytes):
    (tmp_path / "odd.zip").write_bytes(content)
    assert verdict(tmp_path / "odd.zip") == "unreadable"
    assert verdict(tmp_path / "not there.zip") == "unreadable"


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b"{}",
        b"[]",
        b"null",
        b'{"schema_v":2,"stream":"x"}',
        b'{"schema_v":2,"stream":[]}',
        b'{"changes":3,"prev":null,"schema_v":2,"seq":1,"stream":"x","type":"evidence.attached"}',
        b'{"a":"\\ud800","schema_v":2,"stream":"x"}',
        '{"schema_v":2,"stream":"\u00e9"}'.encode("latin-1"),
    ],
    ids=range(9),
)
def test_an_odd_event_is_a_verdict_and_no_crash(made: dict[str, Files], tmp_path: Path, line: bytes):
    odd = replace(made["all"], events=(line, *made["all"].events[1:]))
    assert verdict(odd.write(tmp_path / "odd.zip")) == "altered"


@pytest.mark.parametrize("scope", ["all", "case"])
def test_no_flipped_bit_of_the_zip_breaks_the_verifier(made: dict[str, Files], tmp_path: Path, scope: str):
    """What is in the zip's own headers may change without harm; everything else is found."""
    whole = made[scope].write(tmp_path / "whole.zip").read_bytes()
    said = set()
    for seed in range(150):
        chance, content = random.Random(seed), bytearray(whole)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        (tmp_path / "flipped.zip").write_bytes(content)
        said.add(verdict(tmp_path / "flipped.zip"))
    assert "altered" in said
    assert said <= {"ok", "altered", "missing", "truncated", "unreadable"}


def test_a_wrong_key_issaid(made: dict[str, Files], tmp_path: Path):
    path = made["all"].write(tmp_path / "all.zip")
    said: list[str] = []
    assert verifier.verify(path, "nonsense", say=said.append) == verifier.UNREADABLE
    assert "NAME+1a2b3c4d+BASE64" in said[-1]
    other = Signer("test/audit", Ed25519PrivateKey.generate())
    assert verifier.verify(path, str(other.verifier()), say=said.append) == verifier.CODES["altered"]
