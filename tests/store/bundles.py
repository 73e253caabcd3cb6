"""Bundles for tests: a log that is filled, what is in a bundle of it, and what the verifier says of one."""

import json
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store import evidence, find, migrate, views
from case_store.audit import bundle, exports, sequencer, verifier
from case_store.audit.checkpoints import Checkpoint, Signer
from case_store.audit.formats import FORMATS
from case_store.audit.merkle import leaf_hash, root_of
from case_store.blobs import Blobs
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.store.making import BY, LATER, NOW, add_case

SIGNER = Signer("test/audit", Ed25519PrivateKey.generate())
KEY = str(SIGNER.verifier())
STREAMS = ("a", "b", "c", None)
EARLIER = NOW - timedelta(hours=2)


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

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rest["manifest.json"])
        return found

    def claiming(self, **values: object) -> "Files":
        """Return it with other words in its manifest, which nobody signs."""
        manifest = json.dumps({**self.manifest, **values}).encode()
        return replace(self, rest={**self.rest, "manifest.json": manifest})

    def without(self, *names: str) -> "Files":
        """Return it without the files whose names begin like this."""
        return replace(self, rest={name: one for name, one in self.rest.items() if not name.startswith(names)})

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
    return said(path, saved=saved, max_age=age, must_be_sealed=sealed)[0]


def said(path: Path, **options: Any) -> tuple[str, list[str]]:
    lines: list[str] = []
    code = verifier.verify(path, KEY, **{"now": LATER, **options}, say=lines.append)
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


async def write(
    store: CaseStore,
    out: Path,
    number: int | None = None,
    *,
    signer: Signer = SIGNER,
    at: datetime = NOW,
    **options: Any,
) -> Path:
    """Write a bundle of everything, or of a case, as the command does."""
    async with store.reading() as tx:
        case = await find.case(tx, number) if number else None
    report = partial(views.report, case=case, by="ann", at=at) if case else None
    wanted = bundle.Wanted(**{"case": case, "blobs": Blobs(store.blobs), "report": report, **options})
    await bundle.write(store, out, wanted, by=BY, at=at, seal=lambda: sequencer.seal(store, signer, at))
    return out


async def make(home: Path) -> dict[str, Files]:
    """Bundles of one log: the whole one and that of its case, each at two times; between them the case was exported."""
    store = await filled(home, 40, seed=7)
    found = {"old": Files.of(await write(store, home / "old.zip", at=EARLIER))}
    found["old case"] = Files.of(await write(store, home / "old-case.zip", 1, at=EARLIER))
    async with store.reading() as tx:
        case = await find.case(tx, 1)
    for form in ("jsonl", "ocsf"):
        await exports.export(store, StringIO(), case, form=FORMATS[form], by=BY, at=NOW)
    async with store.transaction() as tx:
        for stream in ("a", case.id, "b", case.id):
            tx.record("test.noted", None, by=BY, at=NOW, case=stream)
    found["all"] = Files.of(await write(store, home / "all.zip"))
    found["case"] = Files.of(await write(store, home / "case.zip", 1))
    await store.close()
    return found


def signed(files: Files, signer: Signer = SIGNER, at: datetime = NOW) -> Files:
    """Return it with a checkpoint over its events, whatever they are."""
    leaves = [leaf_hash(line) for line in files.events]
    text = Checkpoint(signer.name, len(leaves), root_of(leaves)).text()
    return replace(files, checkpoint=signer.sign_at(text, int(at.timestamp())))
