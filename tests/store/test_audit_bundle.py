"""Bundles: a clean one verifies, a tampered one is found as what it is, by the verifier alone.

The short edition runs with every `make test`; the long one (`-m slow`) tries each kind a thousand times.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store import evidence, find, migrate, views
from case_store.audit import bundle, sequencer, verifier
from case_store.audit.checkpoints import Checkpoint, Signer
from case_store.audit.merkle import leaf_hash, root_of
from case_store.blobs import Blobs
from case_store.errors import NotSealed
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.store.making import BY, LATER, NOW, add_case

SIGNER = Signer("test/audit", Ed25519PrivateKey.generate())
KEY = str(SIGNER.verifier())
STREAMS = ("a", "b", "c", None)
Kind = Callable[["Files", random.Random], "Files"]


@dataclass(frozen=True)
class Files:
    """What is in a bundle."""

    events: tuple[bytes, ...]
    checkpoint: str | None
    rest: dict[str, bytes]

    @classmethod
    def of(cls, path: Path) -> "Files":
        with ZipFile(path) as archive:
            rest = {name: archive.read(name) for name in archive.namelist()}
        events = rest.pop("events.jsonl").splitlines()
        return cls(tuple(events), rest.pop("checkpoint.txt").decode(), rest)

    def write(self, path: Path) -> Path:
        with ZipFile(path, "w") as archive:
            archive.writestr("events.jsonl", b"".join(line + b"\n" for line in self.events))
            if self.checkpoint is not None:
                archive.writestr("checkpoint.txt", self.checkpoint)
            for name, content in self.rest.items():
                archive.writestr(name, content)
        return path


def canonical(body: dict) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def verdict(path: Path, *, saved: str | None = None, sealed: bool = False, age: timedelta | None = None) -> str:
    """The verifier's verdict as its word."""
    return _said(path, saved=saved, max_age=age, must_be_sealed=sealed)[0]


def _said(path: Path, **options: Any) -> tuple[str, list[str]]:
    lines: list[str] = []
    code = verifier.verify(path, KEY, now=LATER, say=lines.append, **options)
    words = {number: word for word, number in verifier.CODES.items()} | {0: "ok", verifier.UNREADABLE: "unreadable"}
    assert lines[-1].startswith(("Everything holds", words[code].upper(), "cannot"))
    return words[code], lines


async def filled(home: Path, events: int, seed: int) -> CaseStore:
    """A store with a case, its evidence, and events in several streams."""
    settings = Settings(home=home)
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    chance = random.Random(seed)
    async with store.transaction() as tx:
        case, *_ = await add_case(tx)
        for name in ("one", "two"):
            await evidence.attach(tx, case, Blobs(settings.blobs), name=name, content=name.encode(), by=BY, at=NOW)
    for _ in range(events):
        async with store.transaction() as tx:
            of = chance.choice((*STREAMS, case.id))
            tx.record("test.noted", None, by=BY, at=NOW, case=of, facts={"text": f"é{chance.random()}"})
    return store


async def write(store: CaseStore, out: Path, number: int | None = None, *, signer: Signer = SIGNER) -> Path:
    async with store.reading() as tx:
        case = await find.case(tx, number) if number else None
    report = partial(views.report, case=case, by="ann", at=NOW) if case else None
    wanted = bundle.Wanted(case, Blobs(store.blobs), report)
    await bundle.write(store, out, wanted, by=BY, at=NOW, seal=lambda: sequencer.seal(store, signer, NOW))
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    """Bundles of one log: the whole one at two times, and that of its case."""
    return asyncio.run(_make(tmp_path_factory.mktemp("log")))


async def _make(home: Path) -> dict[str, Files]:
    store = await filled(home, 40, seed=7)
    found = {"old": Files.of(await write(store, home / "old.zip"))}
    async with store.transaction() as tx:
        tx.record("test.noted", None, by=BY, at=NOW, case="a")
    found["all"] = Files.of(await write(store, home / "all.zip"))
    found["case"] = Files.of(await write(store, home / "case.zip", 1))
    await store.close()
    return found


# --- what somebody may do to a bundle --------------------------------------------------------------------------------


def flip_a_bit(files: Files, chance: random.Random) -> Files:
    lines = list(files.events)
    at = chance.randrange(len(lines))
    changed = bytearray(lines[at])
    while True:
        place, bit = chance.randrange(len(changed)), 1 << chance.randrange(8)
        if changed[place] ^ bit not in b"\r\n":
            changed[place] ^= bit
            break
    lines[at] = bytes(changed)
    return replace(files, events=tuple(lines))


def edit_a_field(files: Files, chance: random.Random) -> Files:
    lines = list(files.events)
    at = chance.randrange(len(lines))
    body = json.loads(lines[at])
    name = chance.choice(["type", "ts", "request_id", "facts", "actor"])
    body[name] = (
        {"id": "somebody", "kind": "person"} if name == "actor" else {"other": 1} if name == "facts" else "other"
    )
    lines[at] = canonical(body)
    return replace(files, events=tuple(lines))


def delete_one(files: Files, chance: random.Random) -> Files:
    at = chance.randrange(len(files.events))
    return replace(files, events=files.events[:at] + files.events[at + 1 :])


def insert_one(files: Files, chance: random.Random) -> Files:
    at = chance.randrange(len(files.events))
    body = {**json.loads(files.events[at]), "event_id": "forged"}
    return replace(files, events=(*files.events[:at], canonical(body), *files.events[at:]))


def swap_two(files: Files, chance: random.Random) -> Files:
    lines = list(files.events)
    one, two = chance.sample(range(len(lines)), 2)
    lines[one], lines[two] = lines[two], lines[one]
    return replace(files, events=tuple(lines))


def cut_the_tail(files: Files, chance: random.Random) -> Files:
    return replace(files, events=files.events[: -chance.randrange(1, len(files.events))])


def rewrite_to_the_end(files: Files, chance: random.Random) -> Files:
    """Change an event, and every later one of its stream, so that the chain is whole again."""
    bodies = [json.loads(line) for line in files.events]
    at = chance.randrange(len(bodies))
    bodies[at]["facts"] = {"nothing": "happened"}
    stream, head = bodies[at]["stream"], None
    lines = []
    for body in bodies:
        if body["stream"] == stream:
            body["prev"] = head
            head = leaf_hash(canonical(body)).hex()
        lines.append(canonical(body))
    return replace(files, events=tuple(lines))


def remove_the_checkpoint(files: Files, _chance: random.Random) -> Files:
    return replace(files, checkpoint=None)


def sign_with_another_key(files: Files, chance: random.Random) -> Files:
    """Rewrite everything and sign it, with a key of the same name."""
    other = Signer(SIGNER.name, Ed25519PrivateKey.generate())
    return _signed(rewrite_to_the_end(files, chance), other)


def change_the_checkpoint(files: Files, chance: random.Random) -> Files:
    lines = (files.checkpoint or "").split("\n")
    lines[1] = str(int(lines[1]) - chance.randrange(1, 5))
    return replace(files, checkpoint="\n".join(lines))


def change_evidence(files: Files, chance: random.Random) -> Files:
    name = chance.choice([name for name in files.rest if name.startswith("evidence/")])
    return replace(files, rest={**files.rest, name: files.rest[name] + b"!"})


def remove_evidence(files: Files, chance: random.Random) -> Files:
    name = chance.choice([name for name in files.rest if name.startswith("evidence/")])
    return replace(files, rest={other: content for other, content in files.rest.items() if other != name})


def _signed(files: Files, signer: Signer) -> Files:
    leaves = [leaf_hash(line) for line in files.events]
    text = Checkpoint(signer.name, len(leaves), root_of(leaves)).text()
    return replace(files, checkpoint=signer.sign_at(text, int(NOW.timestamp())))


TAMPERING: dict[Kind, set[str]] = {
    flip_a_bit: {"altered", "missing", "truncated"},
    edit_a_field: {"altered"},
    delete_one: {"missing", "truncated"},
    insert_one: {"altered", "missing"},
    swap_two: {"altered", "missing"},
    cut_the_tail: {"truncated"},
    rewrite_to_the_end: {"altered"},
    remove_the_checkpoint: {"missing"},
    sign_with_another_key: {"altered"},
    change_the_checkpoint: {"altered"},
    change_evidence: {"altered"},
    remove_evidence: {"missing"},
}


@pytest.mark.parametrize("count", [25, pytest.param(1000, marks=pytest.mark.slow)], ids=["short", "long"])
@pytest.mark.parametrize("kind", TAMPERING, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("scope", ["all", "case"])
def test_tampering_is_found(made: dict[str, Files], tmp_path: Path, scope: str, kind: Kind, count: int):
    # In the bundle of one case the checkpoint speaks of the whole tree: a proof that leads elsewhere is all one sees.
    expected = TAMPERING[kind] | ({"altered", "missing"} if scope == "case" and kind is cut_the_tail else set())
    for seed in range(count):
        changed = kind(made[scope], random.Random(seed))
        if changed == made[scope]:
            continue
        assert verdict(changed.write(tmp_path / "changed.zip")) in expected, f"seed {seed}"


@pytest.mark.parametrize("kind", TAMPERING, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("scope", ["all", "case"])
def test_several_processes_say_the_same_as_one(
    made: dict[str, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str, kind: Kind
):
    """Word for word, also what is found in the middle of a block."""
    monkeypatch.setattr(verifier, "_MANY_LINES", 3)
    changed = kind(made[scope], random.Random(7)).write(tmp_path / "changed.zip")
    assert _said(changed, processes=2) == _said(changed, processes=1)


def test_a_helping_process_that_is_ended_is_no_verdict(
    made: dict[str, Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(verifier, "form_of", lambda _line: os._exit(9))
    word, lines = _said(made["all"].write(tmp_path / "all.zip"), processes=2)
    assert word == "unreadable"
    assert "--processes 1" in lines[-1]


def test_an_older_state_is_a_rollback_for_whoever_saved_a_checkpoint(made: dict[str, Files], tmp_path: Path):
    old = made["old"].write(tmp_path / "old.zip")
    assert verdict(old) == "ok"
    assert verdict(old, saved=made["all"].checkpoint) == "rolled back"
    assert verdict(made["all"].write(tmp_path / "all.zip"), saved=made["old"].checkpoint) == "ok"


@pytest.mark.parametrize("seed", range(20))
def test_a_past_rewritten_with_the_logs_own_key_is_a_fork_for_whoever_saved_a_checkpoint(
    made: dict[str, Files], tmp_path: Path, seed: int
):
    saved = made["old"].checkpoint
    before = int((saved or "").split("\n")[1])
    events = made["all"].events
    forged = rewrite_to_the_end(replace(made["all"], events=events[:before]), random.Random(seed))
    forged = _signed(replace(forged, events=(*forged.events, *events[before:])), SIGNER)
    assert verdict(forged.write(tmp_path / "forged.zip"), saved=saved) in {"forked", "altered"}
    whole = _signed(rewrite_to_the_end(made["all"], random.Random(seed)), SIGNER).write(tmp_path / "whole.zip")
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
    forged = _signed(replace(made["all"], events=(*made["all"].events, canonical(body))), SIGNER)
    assert verdict(forged.write(tmp_path / "forged.zip")) == "altered"


def test_a_log_that_stopped_is_stale(made: dict[str, Files], tmp_path: Path):
    path = made["all"].write(tmp_path / "all.zip")
    assert verdict(path, age=timedelta(hours=1)) == "ok"
    assert verdict(path, age=timedelta(minutes=1)) == "stale"


def test_events_after_the_checkpoint_are_counted_as_unsealed(made: dict[str, Files], tmp_path: Path):
    files = replace(made["all"], checkpoint=made["old"].checkpoint)
    path = files.write(tmp_path / "unsealed.zip")
    assert verdict(path) == "ok"
    assert verdict(path, sealed=True) == "unsealed"


CLEAN = [*range(12), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(12, 100))]


@pytest.mark.parametrize("seed", CLEAN)
async def test_clean_bundles_raise_no_alarm(tmp_path: Path, seed: int):
    store = await filled(tmp_path / "home", seed * 3, seed)
    for number in (None, 1):
        assert verdict(await write(store, tmp_path / f"{number}.zip", number), sealed=True) == "ok"
    await store.close()


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


def test_a_wrong_key_is_said(made: dict[str, Files], tmp_path: Path):
    path = made["all"].write(tmp_path / "all.zip")
    said: list[str] = []
    assert verifier.verify(path, "nonsense", say=said.append) == verifier.UNREADABLE
    assert "NAME+1a2b3c4d+BASE64" in said[-1]
    other = Signer("test/audit", Ed25519PrivateKey.generate())
    assert verifier.verify(path, str(other.verifier()), say=said.append) == verifier.CODES["altered"]
