"""One writer at a time on SQLite: within a process, across processes, and when a process dies."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from case_store.errors import NestedTransaction, StoreBusy, StoreUnwritable
from case_store.models import AuditEvent, Counter
from case_store.settings import Settings
from case_store.store import CaseStore
from case_store.writer import WriterLock, lock_file
from tests.store.making import BY, NOW, add_person, unrestrained

COUNT = """
import asyncio, sys
from datetime import UTC, datetime
from case_store.actor import Actor
from case_store.models import Counter
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.store import kinds

async def main(url, times):
    store = await CaseStore.open(Settings(database_url=url))
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(times):
        async with store.transaction() as tx:
            counter = await tx.session.get_one(Counter, "case")
            counter.value += 1
            tx.record("test.counted", None, by=Actor.system("test"), at=datetime(2026, 3, 2, tzinfo=UTC))
    await store.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""
HOLD = """
import asyncio, sys
from pathlib import Path
from case_store.writer import WriterLock

async def main(path):
    async with WriterLock(Path(path)).held():
        print("held", flush=True)
        sys.stdin.readline()

asyncio.run(main(sys.argv[1]))
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a Python process of its own and wait for its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def is_free(path: Path) -> bool:
    """Whether the kernel would give the lock to another process now."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


async def waiting_threads() -> list[threading.Thread]:
    """Wait until somebody waits for the kernel, and return who does."""
    while not (found := [t for t in threading.enumerate() if t.name == "casewright-writer-lock"]):  # noqa: ASYNC110
        await asyncio.sleep(0)  # a thread that blocks in the kernel sets no event
    return found


async def gone(threads: list[threading.Thread]) -> None:
    """Wait until these threads have their lock and have given it to whoever waited."""
    await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
    await asyncio.sleep(0)


class TestTheLock:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "casewright.db.writer"

    async def test_is_held_by_one_and_free_afterwards(self, path: Path):
        async with WriterLock(path).held():
            assert not is_free(path)
        assert is_free(path)

    async def test_who_waits_too_long_is_told(self, path: Path):
        async with WriterLock(path).held():
            with pytest.raises(StoreBusy, match=r"held .*casewright.db.writer for over 0.01 s"):
                async with WriterLock(path, longest_wait=0.01).held():
                    pass
            threads = await waiting_threads()
        await gone(threads)
        assert is_free(path)  # the one who gave up did not keep it

    async def test_who_waits_too_long_within_a_process_is_told(self, path: Path):
        lock = WriterLock(path, longest_wait=0.01)
        async with lock.held():
            with pytest.raises(StoreBusy):
                async with lock.held():
                    pass
        async with lock.held():
            assert not is_free(path)

    async def test_who_waits_gets_it(self, path: Path):
        """And the event loop goes on meanwhile."""
        got = asyncio.Event()

        async def wait() -> None:
            async with WriterLock(path).held():
                got.set()

        async with WriterLock(path).held():
            waiter = asyncio.create_task(wait())
            threads = await waiting_threads()
            assert not got.is_set()
        await waiter
        assert got.is_set()
        await gone(threads)
        assert is_free(path)

    async def test_who_gives_it_back_and_asks_again_does_not_pass_who_waits(self, path: Path):
        """However fast it is: often the one who waits has not been woken yet when the other asks, so try it often."""
        lock, order = WriterLock(path), []

        async def wait() -> None:
            async with WriterLock(path).held():  # as in another process
                order.append("who waited")

        for _ in range(30):
            async with lock.held():
                waiter = asyncio.create_task(wait())
                threads = await waiting_threads()
                while is_free(path.with_name(f"{path.name}.door")):  # noqa: ASYNC110 - the kernel does not tell
                    await asyncio.sleep(0)
            async with lock.held():
                order.append("who asked again")
            await waiter
            await gone(threads)
        assert order == ["who waited", "who asked again"] * 30

    async def test_who_is_cancelled_while_waiting_leaves_it_free(self, path: Path):
        async def wait() -> None:
            async with WriterLock(path).held():
                pytest.fail("cancelled, and yet it got the lock")

        async with WriterLock(path).held():
            waiter = asyncio.create_task(wait())
            threads = await waiting_threads()
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
        await gone(threads)
        assert is_free(path)

    async def test_who_is_cancelled_at_the_moment_of_getting_it_leaves_it_free(self, path: Path):
        async def wait() -> None:
            async with WriterLock(path).held():
                pytest.fail("cancelled, and yet it got the lock")

        loop = asyncio.get_running_loop()
        async with WriterLock(path).held():
            waiter = asyncio.create_task(wait())
            threads = await waiting_threads()
        for thread in threads:
            thread.join()  # it has the lock, and has asked this loop to say so; we were not in the loop since
        loop.call_soon(waiter.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert is_free(path)

    async def test_those_of_one_process_come_in_order(self, path: Path):
        lock, order = WriterLock(path), []

        async def write(number: int) -> None:
            async with lock.held():
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(write(number) for number in range(20)))
        assert order == list(range(20))

    def test_dies_with_its_process(self, path: Path):
        process = start(HOLD, str(path))
        with process:
            assert not is_free(path)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert is_free(path)

    async def test_that_cannot_be_written_is_said(self, tmp_path: Path):
        with pytest.raises(StoreUnwritable, match="nowhere"):
            async with WriterLock(tmp_path / "nowhere" / "x.writer").held():
                pass


class TestWriting:
    async def test_holds_the_lock_and_reading_does_not(self, sqlite_store: CaseStore, tmp_path: Path):
        path = lock_file(Path(sqlite_store.url.database or ""))
        async with sqlite_store.transaction() as tx:
            assert not is_free(path)
            add_person(tx)
            await tx.flush()
            async with sqlite_store.reading() as reader:  # sees the state before, and waits for nobody
                assert await reader.session.scalar(select(func.count()).select_from(AuditEvent)) == 0
        assert is_free(path)
        async with sqlite_store.reading():
            assert is_free(path)

    async def test_of_many_in_one_process_loses_nothing(self, store: CaseStore):
        """PostgreSQL: the row is locked; SQLite: the writers come one after another."""
        async with store.transaction() as tx:
            tx.session.add(Counter(name="case", value=0))

        async def count() -> None:
            async with store.transaction() as tx:
                counter = (await tx.session.scalars(select(Counter).with_for_update())).one()
                counter.value += 1
                tx.record("test.counted", None, by=BY, at=NOW)

        await asyncio.gather(*(count() for _ in range(40)))
        async with store.reading() as tx:
            assert await tx.session.scalar(select(Counter.value)) == 40
            assert await tx.session.scalar(select(func.count()).select_from(AuditEvent)) == 40

    async def test_of_two_processes_loses_nothing(self, sqlite_store: CaseStore, sqlite_database: str):
        async with sqlite_store.transaction() as tx:
            tx.session.add(Counter(name="case", value=0))
        processes = [start(COUNT, sqlite_database, "40") for _ in range(2)]
        results = await asyncio.gather(*(asyncio.to_thread(process.communicate, "go\n") for process in processes))
        assert [process.returncode for process in processes] == [0, 0], results
        async with sqlite_store.reading() as tx:
            assert await tx.session.scalar(select(Counter.value)) == 80

    async def test_within_writing_is_refused_instead_of_waiting_for_itself(self, store: CaseStore):
        async with store.transaction():
            with pytest.raises(NestedTransaction, match="already holds"):
                async with store.transaction():
                    pass
        async with store.transaction() as tx:
            tx.record("test.went_on", None, by=BY, at=NOW)

    async def test_keeps_what_is_acknowledged_through_a_power_cut(self, sqlite_store: CaseStore, tmp_path: Path):
        async with sqlite_store.transaction() as tx:
            settings = {
                name: await tx.session.scalar(text(f"PRAGMA {name}"))
                for name in ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers", "trusted_schema")
            }
        full = 2
        assert settings == {
            "journal_mode": "wal",
            "synchronous": full,
            "foreign_keys": 1,
            "recursive_triggers": 1,
            "trusted_schema": 0,
        }

    async def test_by_another_program_is_waited_for_and_then_said(
        self, sqlite_database: str, sqlite_store: CaseStore, tmp_path: Path
    ):
        """A program that knows nothing of our lock, such as a backup or the sqlite3 shell."""
        import sqlite3

        async with sqlite_store.transaction() as tx:
            await unrestrained(tx)
            await tx.session.execute(text("PRAGMA busy_timeout = 1"))
        other = sqlite3.connect(sqlite_store.url.database or "", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="database is locked") as caught:
            async with sqlite_store.transaction():
                pass
        assert "next: try again" in caught.value.diagnostics()
        other.execute("ROLLBACK")
        other.close()
        async with sqlite_store.transaction() as tx:
            tx.record("test.went_on", None, by=BY, at=NOW)

    async def test_stores_of_two_event_loops_take_turns(self, sqlite_store: CaseStore, sqlite_database: str):
        """A console and a relay in one process may each have a loop of their own."""

        async def elsewhere() -> None:
            store = await CaseStore.open(Settings(database_url=sqlite_database))
            for _ in range(10):
                async with store.transaction() as tx:
                    tx.record("test.wrote", None, by=BY, at=NOW)
            await store.close()

        other = asyncio.create_task(asyncio.to_thread(asyncio.run, elsewhere()))
        for _ in range(10):
            async with sqlite_store.transaction() as tx:
                tx.record("test.wrote", None, by=BY, at=NOW)
        await other
        async with sqlite_store.reading() as tx:
            assert await tx.session.scalar(select(func.count()).select_from(AuditEvent)) == 20
