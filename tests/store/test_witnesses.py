"""The relay has its checkpoints confirmed by a witness over a real socket; bundles and the status say so."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from sqlalchemy import select

from case_store import audit
from case_store.audit import bundle, keys, rotation, sequencer, status, verifier, witnesses
from case_store.audit.checkpoints import Checkpoint, Signer, VerifierKey, witnessed
from case_store.audit.witness import PATH, LogKeys, Request, Seen
from case_store.audit.witness_memory import Memory, load_or_create_key
from case_store.audit.witnesses import Witness
from case_store.blobs import Blobs
from case_store.errors import WitnessSettingRefused
from case_store.models import AuditCosignature, AuditEvent
from case_store.settings import Settings
from case_store.store import CaseStore
from console.witness_server import Server
from flows.relay import witnesses as relay_side
from flows.relay.witnesses import Asked, ask
from flows.resources import Resources
from tests.store.making import BY, LATER, NOW
from tests.store.test_audit_tree import newest, note


@dataclass
class Party:
    """A witness that runs, and the relay that asks it."""

    own: Resources
    memory: Memory
    said: list[str]
    asked: Asked
    client: httpx.AsyncClient
    signer: Signer
    keys: dict[str, list[VerifierKey]]

    @property
    def key(self) -> VerifierKey:
        return self.asked.witness.key

    async def seal(self, count: int = 1) -> None:
        if count:
            await note(self.own.store, "a", count)
        await sequencer.seal(self.own.store, self.signer, NOW)

    async def ask(self) -> None:
        await ask(self.own, self.client, self.asked)

    async def cosignatures(self) -> list[AuditCosignature]:
        async with self.own.store.reading() as tx:
            rows = await tx.session.scalars(select(AuditCosignature).order_by(AuditCosignature.checkpoint_id))
            return list(rows)

    async def contradictions(self) -> list[str]:
        async with self.own.store.reading() as tx:
            found = await tx.session.scalars(select(AuditEvent).where(AuditEvent.type == "audit.contradicted"))
            return [event.body for event in found]


@asynccontextmanager
async def running(memory: Memory, log_keys: dict[str, list[VerifierKey]], port: int = 0) -> AsyncIterator[tuple]:
    said: list[str] = []
    server = Server(memory, log_keys, now=lambda: LATER, say=said.append)
    async with server.listening("127.0.0.1", port) as url:
        yield url, said


@pytest.fixture
async def party(store: CaseStore, tmp_path: Path) -> AsyncIterator[Party]:
    signer = keys.load_or_create(tmp_path / "keys")
    witness_key = load_or_create_key(tmp_path / "witness", "witness.example/w1")
    memory, log_keys = Memory(tmp_path / "witness", witness_key), {signer.name: [signer.verifier()]}
    async with running(memory, log_keys) as (url, said), httpx.AsyncClient() as client:
        asked = Asked(Witness(url, witness_key.verifier().as_witness()))
        own = Resources(Settings(home=tmp_path), store, Blobs(store.blobs), {})
        yield Party(own, memory, said, asked, client, signer, log_keys)


async def test_each_newest_checkpoint_is_confirmed_and_that_is_kept(party: Party):
    for count in (3, 1, 300):
        await party.seal(count)
        await party.ask()
        (*_, last) = await party.cosignatures()
        assert witnessed(await newest(party.own.store) + last.line, party.key) == int(LATER.timestamp())
        assert (last.at, last.witness) == (LATER.replace(microsecond=0), str(party.key))
    assert party.memory.seen[party.signer.name].size == 304
    assert [one.checkpoint_id for one in await party.cosignatures()] == [1, 2, 3]


async def test_what_is_confirmed_is_not_asked_again(party: Party):
    await party.seal()
    await party.ask()
    await party.ask()
    assert len(party.said) == 1


async def test_checkpoints_between_two_looks_are_left_out(party: Party):
    for _ in range(5):
        await party.seal()
    await party.ask()
    assert [one.checkpoint_id for one in await party.cosignatures()] == [5]


async def test_two_relays_do_no_harm(party: Party):
    await party.seal(4)
    others = [Asked(party.asked.witness) for _ in range(4)]
    await asyncio.gather(*(ask(party.own, party.client, one) for one in others))
    assert len(await party.cosignatures()) == 1
    assert await party.contradictions() == []


async def test_a_relay_that_never_got_the_answer_learns_the_size_from_the_witness(party: Party):
    await party.seal(4)
    await party.ask()
    await party.seal(3)
    async with party.own.store.reading() as tx:
        newest_one = await audit.newest_checkpoint(tx)
        assert newest_one is not None
        request = await witnesses.request(tx, newest_one, 4)
    assert request is not None
    party.memory.confirm(request, party.keys, 1)
    await party.seal(2)
    await party.ask()
    assert party.memory.seen[party.signer.name].size == 9
    assert [one.checkpoint_id for one in await party.cosignatures()] == [1, 3]
    assert await party.contradictions() == []


async def test_a_witness_that_is_away_is_asked_again(party: Party, caplog: pytest.LogCaptureFixture):
    await party.seal()
    right = party.asked.witness
    party.asked.witness = Witness("http://127.0.0.1:9", right.key)
    pauses = []
    for _ in range(8):
        await party.ask()
        pauses.append(party.asked.pause)
    assert pauses == sorted(pauses)
    assert pauses[-1] == 60
    assert len([one for one in caplog.records if one.levelno >= logging.WARNING]) == 1
    party.asked.witness = right
    await party.ask()
    assert len(await party.cosignatures()) == 1
    assert party.asked.pause == 0
    assert await party.contradictions() == []


async def test_the_relay_asks_by_itself_and_goes_on_asking(party: Party, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(relay_side, "_LOOK_EVERY", 0.02)
    asking = asyncio.create_task(relay_side.have_witnessed(party.own, [party.asked.witness]))
    for count in (1, 2):
        await party.seal()
        async with asyncio.timeout(20):
            while len(await party.cosignatures()) < count:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
    assert not asking.done()
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled()


@pytest.mark.parametrize(
    ("code", "text"),
    [(200, "nonsense"), (200, ""), (409, "many\n"), (409, "9" * 30), (500, "no"), (200, "x" * 100_000), (302, "")],
    ids=range(7),
)
async def test_an_odd_answer_confirms_and_contradicts_nothing(party: Party, code: int, text: str):
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=code, text=text, headers={"Location": "http://127.0.0.1:9/"})

    app = web.Application()
    app.router.add_post(PATH, answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    party.asked.witness = Witness(f"http://127.0.0.1:{runner.addresses[0][1]}", party.key)
    await party.seal()
    await party.ask()
    assert party.asked.trouble
    assert await party.cosignatures() == []
    assert await party.contradictions() == []
    await runner.cleanup()


@pytest.mark.parametrize("seconds", [2**64 - 1, 2**63, 253_402_300_800])
async def test_a_time_that_no_calendar_has_confirms_nothing_and_ends_nobody(party: Party, seconds: int):
    """The witness's own key signs it."""
    honest = party.memory.confirm

    def confirm(request: Request, log_keys: LogKeys, _at: int) -> tuple[Checkpoint, str]:
        checkpoint, _ = honest(request, log_keys, 1)
        return checkpoint, party.memory._signer.cosign(request.note, seconds)

    party.memory.confirm = confirm  # type: ignore[method-assign]
    await party.seal()
    await party.ask()
    assert "no calendar" in party.asked.trouble
    assert await party.cosignatures() == []


@pytest.mark.parametrize(
    ("size", "root", "what"),
    [(9, bytes(32), "the end of the log is gone"), (3, bytes(32), "another tree"), (2, bytes(32), "not the beginning")],
    ids=["shorter", "same size", "longer"],
)
async def test_a_contradiction_is_said_aloud_and_put_on_record_once(
    party: Party, caplog: pytest.LogCaptureFixture, size: int, root: bytes, what: str
):
    await party.seal(3)
    party.memory.seen[party.signer.name] = Seen(size, root)
    await party.ask()
    await party.ask()
    assert any(one.levelno == logging.ERROR and "CONTRADICTS" in one.message for one in caplog.records)
    (body,) = await party.contradictions()
    assert what in body
    assert await party.cosignatures() == []


async def test_after_a_change_of_the_key_the_witness_needs_the_new_one(party: Party, tmp_path: Path):
    await party.seal(2)
    await party.ask()
    done = await rotation.rotate(party.own.store, tmp_path / "keys", by=BY, at=NOW)
    party.signer = keys.load(tmp_path / "keys")
    await party.seal(2)
    await party.ask()
    assert "403" in party.asked.trouble
    party.keys[party.signer.name].append(done.new)
    await party.ask()
    assert party.memory.seen[party.signer.name].size == 5
    assert await party.contradictions() == []


class TestABundle:
    async def _write(self, party: Party, out: Path, *, asking: bool = True) -> bundle.Bundled:
        async def seal() -> None:
            await sequencer.seal(party.own.store, party.signer, NOW)
            if asking:
                await party.ask()

        wait = bundle.Wait(5.0 if asking else 0.3, (party.key,))
        return await bundle.write(party.own.store, out, bundle.Wanted(), by=BY, at=NOW, seal=seal, wait=wait)

    async def test_carries_what_witnesses_confirmed(self, party: Party, tmp_path: Path):
        await party.seal(5)
        done = await self._write(party, tmp_path / "all.zip")
        assert done.unwitnessed == ()
        assert self._verdict(tmp_path / "all.zip", party, str(party.key)) == 0

    async def test_that_nobody_confirmed_is_unwitnessed(self, party: Party, tmp_path: Path):
        await party.seal(5)
        done = await self._write(party, tmp_path / "all.zip", asking=False)
        assert done.unwitnessed == (party.key.name,)
        assert self._verdict(tmp_path / "all.zip", party) == 0
        assert self._verdict(tmp_path / "all.zip", party, str(party.key)) == 17

    async def test_of_another_witness_is_unwitnessed(self, party: Party, tmp_path: Path):
        await party.seal(5)
        await self._write(party, tmp_path / "all.zip")
        other = load_or_create_key(tmp_path / "other", party.key.name).verifier().as_witness()
        assert self._verdict(tmp_path / "all.zip", party, str(party.key), str(other)) == 17
        assert self._verdict(tmp_path / "all.zip", party, str(party.signer.verifier())) == 2

    def _verdict(self, path: Path, party: Party, *of: str) -> int:
        return verifier.verify(
            path, str(party.signer.verifier()), witnesses=list(of), now=LATER, say=lambda _line: None
        )


class TestTheStatus:
    async def test_of_a_log_that_works(self, party: Party):
        await party.seal(5)
        await party.ask()
        async with party.own.store.reading() as tx:
            found = await status.read(tx, [party.asked.witness], LATER)
        assert (found.waiting, found.delay, found.size) == (0, timedelta(), 5)
        assert (found.key, found.witnesses[0].size) == (str(party.signer.verifier()), 5)
        assert found.unwitnessed() == []

    async def test_says_how_long_events_wait_and_who_confirmed_nothing(self, party: Party):
        await party.seal(5)
        await note(party.own.store, "a", 2)
        for later, faults in ((1, 0), (3, 1), (200, 2)):
            async with party.own.store.reading() as tx:
                found = await status.read(tx, [party.asked.witness], NOW + timedelta(seconds=later))
            assert (found.waiting, found.delay, len(found.faults())) == (2, timedelta(seconds=later), faults)
        assert found.unwitnessed() == [party.key.name]

    async def test_of_a_log_that_was_signed_in_the_future(self, party: Party):
        await party.seal(5)
        await note(party.own.store, "a", 1)
        for earlier, told in ((4, 0), (6, 1)):
            async with party.own.store.reading() as tx:
                found = await status.read(tx, [], NOW - timedelta(minutes=earlier))
            assert [one for one in found.faults() if "in the future" in one] == found.faults()
            assert len(found.faults()) == told

    async def test_of_a_log_that_never_signed(self, store: CaseStore):
        async with store.reading() as tx:
            found = await status.read(tx, [], NOW)
        assert (found.size, found.age, found.key, len(found.faults())) == (None, None, None, 1)

    async def test_does_not_take_the_time_that_an_event_tells_for_the_time_it_waits(self, party: Party):
        """A run's state that is put on record after an outage happened long before."""
        await party.seal(1)
        async with party.own.store.transaction() as tx:
            tx.record("run.state", None, by=BY, at=NOW - timedelta(hours=5), case="a")
        async with party.own.store.reading() as tx:
            assert (await status.read(tx, [], NOW + timedelta(seconds=1))).delay == timedelta(seconds=1)
        sealed = await sequencer.seal(party.own.store, party.signer, NOW + timedelta(seconds=1))
        assert sealed is not None
        assert sealed.waited == timedelta(seconds=1)


@pytest.mark.parametrize(
    "entry",
    ["", "http://127.0.0.1:1", "ftp://127.0.0.1 KEY", "http://127.0.0.1 nonsense", "http://127.0.0.1 LOG"],
)
def test_a_witness_that_is_set_up_wrongly_is_refused(entry: str, tmp_path: Path):
    signer = load_or_create_key(tmp_path, "w")
    text = entry.replace("KEY", str(signer.verifier().as_witness())).replace("LOG", str(signer.verifier()))
    with pytest.raises(WitnessSettingRefused, match="CASEWRIGHT_WITNESSES"):
        Witness.parse(text)
    good = Witness.parse(f"http://127.0.0.1:1/ {signer.verifier().as_witness()}")
    assert good.url == "http://127.0.0.1:1"


def test_the_checkpoint_of_the_specification_shows_our_reading_of_its_cosignature_is_theirs():
    """Its example has the form that ours has: a note of the log, and a line of 4 + 8 + 64 bytes of the witness."""
    note = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+"
        "zyWE+xeMcTOAYQ8=\n"
    )
    assert Checkpoint.parse(note).size == 20852163
