"""The forwarder with real sinks: whatever dies and comes back, every event arrives, in order, and none is left out."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from case_store.actor import Actor
from case_store.audit import inspection, sequencer
from case_store.blobs import Blobs
from case_store.errors import StoreDamaged
from case_store.models import AuditSink
from case_store.settings import Settings
from case_store.sinks import content
from case_store.sinks.address import Address, parse
from case_store.sinks.contract import SinkDown
from case_store.store import CaseStore
from flows.relay import forward
from flows.resources import Resources
from tests.store.conftest import run_sql
from tests.store.making import NOW
from tests.store.test_sinks import SIGNER, register
from tests.store.test_sinks import events as events_of_sinks
from tests.syslog import Parsed, SyslogServer

CHILD = """
import asyncio, sys
from datetime import timedelta
from case_store.settings import Settings
from case_store.sinks import content, state
from case_store.sinks.address import configured
from case_store.store import CaseStore
from flows.relay import forward

content.BATCH, state.LEASE, forward._LOOK_EVERY = 20, timedelta(seconds=0.3), 0.05

async def main():
    settings = Settings()
    store = await CaseStore.open(settings)
    await forward.keep_delivering(store, configured(settings)[0])

asyncio.run(main())
"""


async def sealed(store: CaseStore, count: int) -> None:
    async with store.transaction() as tx:
        for _ in range(count):
            tx.record("test.noted", None, by=Actor.system("test"), at=NOW)
    while (done := await sequencer.seal(store, SIGNER, NOW)) is not None and done.events:
        pass


def places(messages: Sequence[bytes]) -> list[int]:
    return [int(Parsed.of(one).data["idx"]) for one in messages]


def require_no_gap(found: Sequence[int], count: int) -> None:
    """Everything is there; what comes twice comes again from where it began, so no place is ever skipped."""
    assert sorted(set(found)) == list(range(count))
    reached = -1
    for place in found:
        assert place <= reached + 1
        reached = max(reached, place)


@asynccontextmanager
async def running(store: CaseStore, *addresses: Address) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(forward.keep_delivering(store, address)) for address in addresses]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - a file tells nobody when it grows
            await asyncio.sleep(0.02)


async def row(store: CaseStore, address: Address) -> AuditSink:
    async with store.reading() as tx:
        return await tx.session.get_one(AuditSink, address.name)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "_LOOK_EVERY", 0.02)
    monkeypatch.setattr(forward, "_LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(content, "BATCH", 10)


async def test_a_server_that_dies_in_the_middle_and_comes_back_gets_everything(store: CaseStore):
    with SyslogServer(resets_after=17) as dying:
        address = parse(f"syslog+tcp://127.0.0.1:{dying.port}", "events")
        await register(store, address)
        await sealed(store, 45)
        async with running(store, address):
            await asyncio.to_thread(dying.wait_for, 10)
            dying.resets_after = 4
            await asyncio.to_thread(dying.wait_for, 20)
            dying.__exit__()
            await sealed(store, 30)
            with SyslogServer(port=dying.port) as back:
                await until(lambda: 75 in places(back.messages))
                found = places(dying.messages) + places(back.messages)
    require_no_gap(found, 76)
    assert len(found) > 76  # it did die in the middle of something


async def test_a_sink_that_is_down_holds_up_no_other(store: CaseStore, tmp_path: Path):
    with SyslogServer(hangs=True) as hanging:
        down = parse(f"syslog+tcp://127.0.0.1:{hanging.port}", "events")
        full = parse("file:///dev/full", "events")
        good = parse(f"file://{tmp_path}/out.jsonl", "events")
        points = parse(f"file://{tmp_path}/points.jsonl", "checkpoints")
        await register(store, down, full, good, points)
        await sealed(store, 25)
        written = tmp_path / "out.jsonl"
        async with running(store, down, full, good, points):
            await until(lambda: written.exists() and len(written.read_text().splitlines()) == 29)
            await until((tmp_path / "points.jsonl").exists)
            await sealed(store, 1)
            await until(lambda: len(written.read_text().splitlines()) == 30)
            await until(lambda: '"size": 30' in (tmp_path / "points.jsonl").read_text())
    assert [json.loads(line)["seq"] for line in written.read_text().splitlines()] == list(range(1, 31))
    assert "No space left" in str((await row(store, full)).last_error)
    assert (await row(store, down)).cursor == (await row(store, full)).cursor == 0


async def test_a_file_that_is_moved_away_meanwhile_loses_nothing(store: CaseStore, tmp_path: Path):
    path = tmp_path / "out.jsonl"
    address = parse(f"file://{path}", "events")
    await register(store, address)
    async with running(store, address):
        for number in range(4):
            await sealed(store, 15)
            await until(path.exists)
            path.rename(tmp_path / f"old.{number}")
        await sealed(store, 1)
        await until(lambda: path.exists() and '"seq":62' in path.read_text())
    parts = [*sorted(tmp_path.glob("old.*")), path]
    found = [json.loads(line)["seq"] for part in parts for line in part.read_text().splitlines()]
    assert found == list(range(1, 63))


async def test_two_forwarders_at_once_leave_nothing_out_and_send_nothing_twice(store: CaseStore):
    with SyslogServer() as server:
        address = parse(f"syslog+tcp://127.0.0.1:{server.port}", "events")
        await register(store, address)
        await sealed(store, 60)
        async with running(store, address, address, address):
            await asyncio.to_thread(server.wait_for, 61)
            await sealed(store, 20)
            await asyncio.to_thread(server.wait_for, 81)
        assert places(server.messages) == list(range(81))


async def test_a_forwarder_that_is_killed_leaves_nothing_out(store: CaseStore, tmp_path: Path):
    with SyslogServer() as server:
        url = f"syslog+tcp://127.0.0.1:{server.port}"
        await register(store, parse(url, "events"))
        await sealed(store, 400)
        settings = {
            "CASEWRIGHT_HOME": str(tmp_path),
            "CASEWRIGHT_DATABASE_URL": store.url.render_as_string(hide_password=False),
            "CASEWRIGHT_FORWARD_TO": url,
            "PYTHONPATH": ":".join(sys.path),
        }
        for seen in (30, 150):
            child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, env=settings)
            await asyncio.to_thread(server.wait_for, seen)
            child.send_signal(signal.SIGKILL)
            assert await child.wait() == -signal.SIGKILL
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, env=settings)
        await until(lambda: 400 in places(server.messages))
        child.send_signal(signal.SIGKILL)
        await child.wait()
        found = places(server.messages)
    require_no_gap(found, 401)
    assert len(found) <= 401 + 2 * 20  # a batch for each kill


async def test_a_delivery_that_was_settled_too_late_is_made_again(store: CaseStore):
    """The row says what was taken, not what was sent: whoever lost the lease has not moved the cursor."""
    with SyslogServer() as server:
        address = parse(f"syslog+tcp://127.0.0.1:{server.port}", "events")
        await register(store, address)
        await sealed(store, 5)

        class Robbed:
            def deliver(self, _: object) -> None:
                asyncio.run_coroutine_threadsafe(self._rob(), loop).result(10)

            async def _rob(self) -> None:
                async with store.transaction() as tx:
                    held = await tx.session.get_one(AuditSink, address.name)
                    held.token = "somebody else's"

        loop = asyncio.get_running_loop()
        assert await forward.Delivery(store, address, lambda _: Robbed()).step() == 0
        assert (await row(store, address)).cursor == 0


async def test_a_place_that_is_missing_in_the_tree_is_not_stepped_over(sqlite_store: CaseStore, sqlite_database: str):
    await sealed(sqlite_store, 5)
    sql = run_sql(sqlite_database)
    for (name,) in await sql("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_leaves'"):
        await sql(f"DROP TRIGGER {name}")
    await sql("DELETE FROM audit_leaves WHERE idx = 2")
    async with sqlite_store.reading() as tx:
        with pytest.raises(StoreDamaged, match="place 2"):
            await content.next_for(tx, parse("file:///x", "events"), 0)


async def test_that_a_place_is_missing_is_shown_with_the_sink(
    sqlite_store: CaseStore, sqlite_database: str, tmp_path: Path
):
    address, store = parse(f"file://{tmp_path}/x.jsonl", "events"), sqlite_store
    await register(store, address)
    await sealed(store, 5)
    sql = run_sql(sqlite_database)
    for (name,) in await sql("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_leaves'"):
        await sql(f"DROP TRIGGER {name}")
    await sql("DELETE FROM audit_leaves WHERE idx = 2")
    with pytest.raises(StoreDamaged, match="place 2"):
        await forward.Delivery(store, address).step()
    found = await row(store, address)
    assert "place 2 of the tree is missing" in str(found.last_error)
    assert (found.failed_at is not None, found.token, found.cursor) == (True, None, 0)


async def test_an_event_that_a_format_cannot_write_is_named_and_nothing_is_left_out(
    store: CaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Broken:
        name = "broken"

        def line(self, record: object) -> str:
            raise KeyError(f"no {type(record).__name__}")

    monkeypatch.setattr(content, "FORMATS", {"jsonl": Broken()})
    address = parse(f"file://{tmp_path}/x.jsonl", "events")
    await register(store, address)
    await sealed(store, 1)
    with pytest.raises(SinkDown, match=r"event 0 \(audit.sink_added\) cannot be written as broken: KeyError"):
        await forward.Delivery(store, address).step()
    assert "cannot be written" in str((await row(store, address)).last_error)
    assert (await row(store, address)).cursor == 0


async def test_the_relay_brings_its_sinks_in_by_itself(store: CaseStore, tmp_path: Path):
    settings = Settings(
        home=tmp_path, forward_to=f"file://{tmp_path}/a.jsonl", checkpoint_to=f"file://{tmp_path}/c.jsonl"
    )
    own = Resources(settings, store, Blobs(settings.blobs), {})
    task = asyncio.create_task(forward.forward(own))
    async with asyncio.timeout(20):
        while len(await events_of_sinks(store)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await sealed(store, 1)
    await until((tmp_path / "a.jsonl").exists)
    await until((tmp_path / "c.jsonl").exists)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert [event for event, _ in await events_of_sinks(store)] == ["added", "added"]
    async with store.reading() as tx:  # what went there is here, so the log has no faults
        assert [fault async for fault in inspection.faults(tx, [SIGNER.verifier()])] == []
