"""The relay has checkpoints stamped by OpenSSL as the authority; bundles carry that, and no other is believed."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from case_store import find
from case_store.audit import bundle, keys, sequencer, status, timestamps, verifier
from case_store.audit.checkpoints import Checkpoint, Signer
from case_store.audit.merkle import EMPTY_ROOT
from case_store.audit.timestamps import TimestampRefused
from case_store.blobs import Blobs
from case_store.errors import TimestampSettingRefused
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.relay import stamp as relay_side
from flows.resources import Resources
from tests import tsa
from tests.store.making import BY, NOW, add_case
from tests.store.test_audit_tree import note


@dataclass
class Party:
    """An authority that runs, and the relay that asks it."""

    own: Resources
    authority: tsa.Authority
    client: httpx.AsyncClient
    signer: Signer

    @property
    def known(self) -> timestamps.Authority:
        found = timestamps.Authority.configured(self.authority.url, self.authority.roots)
        assert found
        return found

    async def seal(self, count: int = 1) -> None:
        await note(self.own.store, "a", count)
        await sequencer.seal(self.own.store, self.signer, NOW)

    async def stamp(self) -> bool:
        return await relay_side.stamp(self.own, self.client, self.known)

    async def stamped(self) -> int | None:
        """How many events were stamped last."""
        async with self.own.store.reading() as tx:
            found = await timestamps.newest_of(tx)
        return found and found[1]

    async def write(self, out: Path, number: int | None = None) -> Path:
        async def seal() -> None:
            await sequencer.seal(self.own.store, self.signer, NOW)

        async with self.own.store.reading() as tx:
            case = await find.case(tx, number) if number else None
        await bundle.write(self.own.store, out, bundle.Wanted(case), by=BY, at=NOW, seal=seal)
        return out

    def verdict(self, path: Path, **options: Any) -> tuple[int, list[str]]:
        said: list[str] = []
        code = verifier.verify(path, str(self.signer.verifier()), now=NOW, say=said.append, **options)
        return code, said


@pytest.fixture
async def party(store: CaseStore, tmp_path: Path) -> AsyncIterator[Party]:
    async with tsa.running(tmp_path / "tsa") as authority, httpx.AsyncClient() as client:
        settings = Settings(home=tmp_path, timestamp_url=authority.url, timestamp_every=timedelta(minutes=1))
        own = Resources(settings, store, Blobs(store.blobs), {})
        yield Party(own, authority, client, keys.load_or_create(tmp_path / "keys"))


async def test_the_newest_checkpoint_is_stamped_once_and_then_left_alone(party: Party):
    assert not await party.stamp()  # nothing is signed yet
    await party.seal(3)
    before = datetime.now(UTC)
    assert await party.stamp()
    await party.seal(2)
    assert not await party.stamp()
    assert len(party.authority.asked) == 1
    async with party.own.store.reading() as tx:
        newest = await timestamps.newest_of(tx)
    assert newest is not None
    assert newest[1] == 3
    assert abs(newest[0].at - before) < timedelta(seconds=5)


async def test_the_empty_log_is_not_stamped(party: Party):
    await sequencer.seal(party.own.store, party.signer, NOW)
    async with party.own.store.reading() as tx:
        assert await timestamps.due(tx, NOW, timedelta(hours=1)) is None
    assert not await party.stamp()
    await party.seal(1)
    assert await party.stamp()


async def test_a_stamp_of_the_empty_log_is_the_beginning_of_every_log(party: Party, tmp_path: Path):
    """Such stamps were asked for once."""
    await party.seal(5)
    out = await party.write(tmp_path / "out.zip")
    empty = party.signer.sign_at(Checkpoint(party.signer.name, 0, EMPTY_ROOT).text(), int(NOW.timestamp()))
    stamp = party.authority.stamp(timestamps.request_for(empty).as_bytes())
    files = {"timestamp.txt": empty.encode(), "timestamp.tsr": stamp, "timestamp-proof.json": b"[]"}
    assert party.verdict(_with(out, files))[0] == 0
    assert party.verdict(_with(out, {**files, "timestamp-proof.json": b'["00"]'}))[0] == verifier.CODES["forked"]


async def test_what_has_grown_is_due_again_after_a_while_and_what_has_not_is_not(party: Party):
    async def due(later: timedelta) -> int | None:
        async with party.own.store.reading() as tx:
            found = await timestamps.due(tx, datetime.now(UTC) + later, timedelta(hours=1))
        return found and found.size

    await party.seal(3)
    await party.stamp()
    assert await due(timedelta(hours=2)) is None
    await party.seal(2)
    assert await due(timedelta(minutes=50)) is None
    assert await due(timedelta(hours=2)) == 5
    assert await due(timedelta(hours=-2)) == 5  # the clock went back: better one too many


async def test_two_relays_do_no_harm(party: Party):
    await party.seal(3)
    await asyncio.gather(*(party.stamp() for _ in range(4)))
    assert await party.stamped() == 3


@pytest.mark.parametrize("scope", ["all", "case"])
async def test_a_bundle_carries_the_stamp_and_openssl_believes_it(party: Party, tmp_path: Path, scope: str):
    async with party.own.store.transaction() as tx:
        await add_case(tx)
    await party.seal(5)
    await party.stamp()
    await party.seal(9)
    out = await party.write(tmp_path / "out.zip", 1 if scope == "case" else None)
    code, said = party.verdict(out)
    assert code == 0, said
    assert any("give --tsa-ca" in line for line in said)
    code, said = party.verdict(out, authority=party.authority.roots)
    assert code == 0, said
    assert not any("give --tsa-ca" in line for line in said)


async def test_a_bundle_without_a_stamp_is_refused_where_one_is_demanded(party: Party, tmp_path: Path):
    await party.seal(3)
    out = await party.write(tmp_path / "out.zip")
    assert party.verdict(out)[0] == 0
    assert party.verdict(out, authority=party.authority.roots)[0] == verifier.CODES["missing"]


async def test_a_stamp_of_another_authority_is_refused(party: Party, tmp_path: Path):
    await party.seal(3)
    await party.stamp()
    out = await party.write(tmp_path / "out.zip")
    async with tsa.running(tmp_path / "other") as other:
        assert party.verdict(out, authority=other.roots)[0] == verifier.CODES["altered"]
        party.authority.answer = other.stamp(timestamps.request_for("x").as_bytes())
        strange = replace(party.known, url=other.url)
        await party.seal(1)
        checkpoint = await _newest(party)
        asked = timestamps.request_for(checkpoint)
        with pytest.raises(TimestampRefused, match="does not lead to"):
            timestamps.read(other.stamp(asked.as_bytes()), asked, checkpoint, strange)
        assert timestamps.read(other.stamp(asked.as_bytes()), asked, checkpoint, timestamps.Authority(other.url))


async def _newest(party: Party) -> str:
    async with party.own.store.reading() as tx:
        found = await timestamps.due(tx, datetime.now(UTC) + timedelta(days=1), timedelta(hours=1))
    assert found
    return found.note


async def test_a_stamp_that_was_moved_to_another_past_is_a_fork(party: Party, tmp_path: Path):
    """Somebody with the log's key signs another past; the stamp is over that, and it is not how this began."""
    await party.seal(5)
    await party.stamp()
    await party.seal(4)
    out = await party.write(tmp_path / "out.zip")
    forged = party.signer.sign_at(Checkpoint(party.signer.name, 5, b"x" * 32).text(), int(NOW.timestamp()))
    stamped = party.authority.stamp(timestamps.request_for(forged).as_bytes())
    code, said = party.verdict(_with(out, {"timestamp.txt": forged.encode(), "timestamp.tsr": stamped}))
    assert code == verifier.CODES["forked"], said


async def test_whatever_is_changed_about_the_stamp_is_found(party: Party, tmp_path: Path):
    await party.seal(5)
    await party.stamp()
    await party.seal(4)
    out = await party.write(tmp_path / "out.zip")
    content = {name: ZipFile(out).read(name) for name in ("timestamp.txt", "timestamp.tsr", "timestamp-proof.json")}
    said = set()
    for seed in range(60):
        chance = random.Random(seed)
        name = chance.choice(sorted(content))
        changed = bytearray(content[name])
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        code, lines = party.verdict(_with(out, {name: bytes(changed)}), authority=party.authority.roots)
        # What OpenSSL does not look at (an unsigned attribute, a certificate that is not used) may change.
        assert code != 0 or name == "timestamp.tsr", (seed, lines)
        said.add(code)
    assert verifier.CODES["altered"] in said
    without = _with(out, {}, leave_out="timestamp-proof.json")
    assert party.verdict(without)[0] == verifier.CODES["missing"]


def _with(bundle_file: Path, instead: dict[str, bytes], leave_out: str = "") -> Path:
    changed = bundle_file.with_name("changed.zip")
    with ZipFile(bundle_file) as old, ZipFile(changed, "w") as new:
        for name in {**dict.fromkeys(old.namelist()), **instead}:
            if name != leave_out:
                new.writestr(name, instead[name] if name in instead else old.read(name))
    return changed


@pytest.mark.parametrize("answer", [b"", b"nonsense", b"0" * 100_000, bytes.fromhex("30053003020102")], ids=range(4))
async def test_an_odd_answer_is_refused_and_nothing_kept(party: Party, answer: bytes):
    await party.seal(3)
    party.authority.answer = answer
    with pytest.raises(TimestampRefused):
        await party.stamp()
    assert await party.stamped() is None


async def test_an_answer_to_another_request_is_refused(party: Party):
    await party.seal(3)
    party.authority.answer = party.authority.stamp(timestamps.request_for(await _newest(party)).as_bytes())
    with pytest.raises(TimestampRefused, match="another request"):
        await party.stamp()
    party.authority.answer = party.authority.stamp(timestamps.request_for("something else").as_bytes())
    with pytest.raises(TimestampRefused, match="something else"):
        await party.stamp()
    assert await party.stamped() is None


async def test_an_authority_that_is_away_is_said_once_and_asked_again(
    party: Party, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(relay_side, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(relay_side, "_LONGEST_PAUSE", 0.02)
    party.authority.status = 503
    await party.seal(3)
    stamping = asyncio.create_task(relay_side.have_stamped(party.own, party.known))
    async with asyncio.timeout(30):
        while len(party.authority.asked) < 4:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        assert len([one for one in caplog.records if one.levelno >= logging.WARNING]) == 1
        party.authority.status = 200
        while await party.stamped() is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    stamping.cancel()
    await asyncio.wait({stamping})


async def test_the_status_says_what_was_stamped_and_what_is_late(party: Party):
    async def read(later: timedelta) -> status.StampStatus:
        async with party.own.store.reading() as tx:
            at = datetime.now(UTC) + later
            found = await status.read(tx, [], at, authority=party.authority.url, every=timedelta(hours=1))
        assert found.stamped
        return found.stamped

    assert not (await read(timedelta())).is_late
    await party.seal(3)
    assert (await read(timedelta())).is_late
    await party.stamp()
    assert ((await read(timedelta())).size, (await read(timedelta(hours=3))).is_late) == (3, False)
    await party.seal(1)
    assert not (await read(timedelta(hours=1))).is_late
    assert (await read(timedelta(hours=3))).is_late


@pytest.mark.parametrize("url", ["ftp://tsa.example", "tsa.example", "http://" + "x" * 400])
def test_a_setting_that_names_no_authority_is_refused(url: str):
    with pytest.raises(TimestampSettingRefused, match="CASEWRIGHT_TIMESTAMP_URL"):
        timestamps.Authority.configured(url, None)


def test_certificates_that_cannot_be_read_are_refused(tmp_path: Path):
    (tmp_path / "odd.pem").write_text("no certificate")
    for file in (tmp_path / "odd.pem", tmp_path / "not there.pem"):
        with pytest.raises(TimestampSettingRefused, match="CASEWRIGHT_TIMESTAMP_CA_FILE"):
            timestamps.Authority.configured("http://tsa.example", file)
    assert timestamps.Authority.configured(None, None) is None
