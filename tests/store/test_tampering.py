"""Twelve kinds of tampering, each with many seeds: the offline verifier, a witness or the inspection finds every one.

The short edition runs with every `make test`; the long one (`make faults`) tries each kind a thousand times. That there
is no false alarm is in `test_clean_exports.py`; what else could be done is at the end, and in `test_bundle_claims.py`.
"""

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from case_store.audit import inspection, sequencer, witnesses
from case_store.audit.checkpoints import Checkpoint, Signer
from case_store.audit.merkle import leaf_hash, root_of
from case_store.audit.proofs import consistency
from case_store.audit.trail import newest_checkpoint
from case_store.audit.witness import CONFLICT, UNPROVEN, Refused, Request, Seen, judge
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.store import acts, tampering
from tests.store.bundles import EARLIER, SIGNER, STREAMS, Files, filled, make, said, signed, verdict, write
from tests.store.making import BY, NOW
from tests.store.tampering import Change

MOMENTS = 12
WITNESS = str(Signer("witness", SIGNER.private).verifier().as_witness())
SHORT, LONG = 12, 1000


@dataclass(frozen=True)
class Ground:
    """A log that was at work for a while: its bundles, its file at many moments, and what it had signed then."""

    folder: Path
    made: dict[str, Files]
    notes: tuple[str, ...]

    def copy_of(self, moment: int) -> Path:
        """A copy of the file as it was at a moment; -1 is the end."""
        return Path(shutil.copy(self.folder / f"{moment % MOMENTS}.db", self.folder / "copy.db"))

    async def open(self, file: Path) -> CaseStore:
        return await CaseStore.open(Settings(home=self.folder, database_url=f"sqlite+aiosqlite:///{file}"))

    async def exported(self, file: Path) -> Path:
        """A bundle of everything in a file, as its owner exports it afterwards."""
        store = await self.open(file)
        try:
            return await write(store, self.folder / "changed.zip")
        finally:
            await store.close()


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return asyncio.run(_prepare(tmp_path_factory.mktemp("ground")))


async def _prepare(folder: Path) -> Ground:
    store, chance, notes = await filled(folder, 20, seed=3), random.Random(3), list[str]()
    for moment in range(MOMENTS):
        async with store.transaction() as tx:
            for _ in range(chance.randrange(1, 5)):
                tx.record("test.noted", None, by=BY, at=NOW, case=chance.choice(STREAMS), facts={"n": moment})
        sealed = await sequencer.seal(store, SIGNER, EARLIER + timedelta(minutes=moment))
        assert sealed is not None
        notes.append(sealed.note)
        _back_up(folder / "casewright.db", folder / f"{moment}.db")
    await store.close()
    return Ground(folder, await make(folder / "bundles"), tuple(notes))


def _back_up(live: Path, to: Path) -> None:
    with closing(sqlite3.connect(live)) as one, closing(sqlite3.connect(to)) as copy:
        one.backup(copy)


# --- the twelve -------------------------------------------------------------------------------------------------------

Trial = Callable[[Ground, int], Awaitable[str]]


def in_a_bundle(change: Change) -> Trial:
    """Somebody changes a bundle, of everything or of a case; the offline verifier looks at it."""

    async def trial(ground: Ground, seed: int) -> str:
        files = ground.made[("all", "case")[seed % 2]]
        changed = change(files, random.Random(seed))
        assert changed != files
        return verdict(changed.write(ground.folder / "changed.zip"))

    return trial


async def replace_into(ground: Ground, seed: int) -> str:
    """An event is replaced in the file; the offline verifier looks at what is exported from it afterwards."""
    file = ground.copy_of(-1)
    acts.around_the_triggers(file, acts.replace_an_event, seed)
    return verdict(await ground.exported(file))


async def other_columns(ground: Ground, seed: int) -> str:
    """A column by which events are searched says something else than the body: no bundle has it, `--log` looks."""
    return await _inspected(ground, acts.change_a_column, seed)


async def old_backup(ground: Ground, seed: int) -> str:
    """An old copy is put in place, and the log goes on from there.

    The offline verifier has a checkpoint that was saved later than that copy; a witness has confirmed the same one.
    """
    chance = random.Random(seed)
    restored = chance.randrange(MOMENTS - 1)
    saved = ground.notes[chance.randrange(restored + 1, MOMENTS)]
    store = await ground.open(ground.copy_of(restored))
    try:
        async with store.transaction() as tx:
            for _ in range(chance.randrange(12)):
                tx.record("test.noted", None, by=BY, at=NOW, case=chance.choice(STREAMS), facts={"text": "anew"})
        word = verdict(await write(store, ground.folder / "changed.zip"), saved=saved)
        known = Checkpoint.parse(saved)
        async with store.reading() as tx:
            newest = await newest_checkpoint(tx)
            assert newest is not None
            request = await witnesses.request(tx, newest, known.size)
    finally:
        await store.close()
    if request is None:  # the relay says aloud that the end of the log is gone
        assert word == "rolled back"
    else:
        assert _refused(request, known) in {CONFLICT, UNPROVEN}
    return word


async def no_checkpoint(ground: Ground, seed: int) -> str:
    """In a bundle, or in the file: one of them, the newest ones, all."""
    if seed % 2:
        return await in_a_bundle(tampering.remove_the_checkpoint)(ground, seed // 2)
    removals = (acts.delete_one_checkpoint, acts.delete_the_newest_checkpoints, acts.delete_all_checkpoints)
    return await _inspected(ground, removals[seed // 2 % 3], seed)


async def fork(ground: Ground, seed: int) -> str:
    """Whoever has the log's key writes another past, signs it, and shows it to a witness who has seen the first one.

    Nothing but the witness can tell; the offline verifier finds that it did not confirm.
    """
    chance, files = random.Random(seed), ground.made["all"]
    known = Checkpoint.parse(ground.made["old"].checkpoint or "")
    forged = tampering.rewrite_to_the_end(files, chance, before=known.size)
    leaves = [leaf_hash(line) for line in forged.events][: chance.choice([known.size, len(files.events)])]
    note = SIGNER.sign_at(Checkpoint(SIGNER.name, len(leaves), root_of(leaves)).text(), int(NOW.timestamp()))
    spans = consistency(known.size, len(leaves)) if len(leaves) > known.size else []
    proof = tuple(root_of(leaves[span.start : span.end]) for span in spans)
    assert _refused(Request(known.size, proof, note), known) in {CONFLICT, UNPROVEN}
    whole = signed(forged).write(ground.folder / "changed.zip")
    assert verdict(whole, saved=ground.made["old"].checkpoint) == "forked"
    return said(whole, witnesses=[WITNESS])[0]


def _refused(request: Request, known: Checkpoint) -> int:
    """How a witness refuses that has confirmed a checkpoint; 0 if it does not."""
    try:
        judge(request, {SIGNER.name: [SIGNER.verifier()]}, {SIGNER.name: Seen(known.size, known.root)})
    except Refused as refused:
        return refused.status
    return 0


async def _inspected(ground: Ground, act: acts.Act, seed: int) -> str:
    file = ground.copy_of(-1)
    acts.around_the_triggers(file, act, seed)
    store = await ground.open(file)
    try:
        async with store.reading() as tx:
            kinds = [str(fault.kind) async for fault in inspection.faults(tx, [SIGNER.verifier()])]
    finally:
        await store.close()
    return kinds[0] if kinds else "ok"


TWELVE: dict[str, tuple[Trial, set[str]]] = {
    "a bit": (in_a_bundle(tampering.flip_a_bit), {"altered", "missing", "truncated"}),
    "a field": (in_a_bundle(tampering.edit_a_field), {"altered"}),
    "an event deleted": (in_a_bundle(tampering.delete_one), {"altered", "missing", "truncated"}),
    "an event inserted": (in_a_bundle(tampering.insert_one), {"altered", "missing"}),
    "two events swapped": (in_a_bundle(tampering.swap_two), {"altered", "missing"}),
    "the tail cut off": (in_a_bundle(tampering.cut_the_tail), {"truncated", "altered"}),
    "the chain rewritten to its end": (in_a_bundle(tampering.rewrite_to_the_end), {"altered"}),
    "REPLACE INTO": (replace_into, {"altered"}),
    "a column that is not what the body says": (other_columns, {"altered", "missing"}),
    "an old backup restored": (old_backup, {"rolled back", "forked"}),
    "the checkpoint removed": (no_checkpoint, {"missing"}),
    "a fork signed with the log's own key": (fork, {"unwitnessed"}),
}


@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)], ids=["short", "long"])
@pytest.mark.parametrize("kind", TWELVE)
async def test_each_of_the_twelve_is_found(ground: Ground, kind: str, count: int):
    trial, expected = TWELVE[kind]
    for seed in range(count):
        assert await trial(ground, seed) in expected, f"seed {seed}"


MORE: dict[Change, set[str]] = {
    tampering.sign_with_another_key: {"altered"},
    tampering.change_the_checkpoint: {"altered"},
    tampering.change_evidence: {"altered"},
    tampering.remove_evidence: {"missing"},
    tampering.remove_all_evidence_and_say_so: {"missing"},
    tampering.remove_a_disclosure: {"missing"},
    tampering.remove_all_disclosures_and_say_so: {"missing"},
    tampering.cut_to_an_earlier_export: {"truncated"},
}


@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)], ids=["short", "long"])
@pytest.mark.parametrize("change", MORE, ids=lambda change: change.__name__)
async def test_what_else_somebody_does_to_a_bundle_is_found(ground: Ground, change: Change, count: int):
    for seed in range(count):
        assert await in_a_bundle(change)(ground, seed) in MORE[change], f"seed {seed}"
