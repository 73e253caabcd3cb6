"""One writer at a time on an SQLite file, across processes.

SQLite's own waiting (the busy handler) sleeps and tries again, so under several writers somebody waits for seconds.
The kernel wakes those who wait for an flock; but a process that gives it back and asks again at once may be faster than
they are. So there is a door before it, another lock: who waits for the flock holds the door, and the door is closed to
whoever asks again. Nobody is passed twice by the same one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from case_store.errors import StoreBusy, StoreUnwritable

LONGEST_WAIT = 30.0  # seconds


def lock_file(database: Path) -> Path:
    """Return the file whose lock is the right to write to an SQLite database."""
    return database.with_name(f"{database.name}.writer")


class WriterLock:
    """The right to write, held by one transaction of one process."""

    def __init__(self, path: Path, *, longest_wait: float = LONGEST_WAIT) -> None:
        self._path = path
        self.longest_wait = longest_wait
        self._turn = asyncio.Lock()  # within this process; only the first in line asks the kernel

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the right to write; the kernel takes it back when the process dies.

        Raises:
            StoreBusy: Somebody else held it for longer than the longest wait.
            StoreUnwritable: The lock file cannot be written.
        """
        async with self._in_turn():
            descriptor = await self._locked()
            try:
                yield
            finally:
                os.close(descriptor)

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.longest_wait):
                await self._turn.acquire()
        except TimeoutError:
            raise self.busy() from None
        try:
            yield
        finally:
            self._turn.release()

    async def _locked(self) -> int:
        descriptor = self._open(self._path)
        try:
            door = self._open(self._path.with_name(f"{self._path.name}.door"))
        except BaseException:
            os.close(descriptor)
            raise
        try:
            fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await self._wait(descriptor, door)
        except OSError as error:
            os.close(descriptor)
            os.close(door)
            raise StoreUnwritable(f"{self._path}: {error.strerror}") from error
        else:
            os.close(door)
        return descriptor

    @staticmethod
    def _open(path: Path) -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnwritable(f"{path}: {error.strerror}") from error

    async def _wait(self, descriptor: int, door: int) -> None:
        """Wait in a thread, since the kernel does not tell an event loop. Closes the descriptor when it gives up."""
        loop = asyncio.get_running_loop()
        granted: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if granted.done():  # the one who waited is gone
                os.close(descriptor)
            else:
                granted.set_result(None)

        def block() -> None:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.close(door)
            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:  # the loop is closed
                os.close(descriptor)

        # A daemon: a process that wants to end does not wait for another one's lock.
        threading.Thread(target=block, name="casewright-writer-lock", daemon=True).start()
        try:
            async with asyncio.timeout(self.longest_wait):
                await granted
        except BaseException as error:
            if granted.done() and not granted.cancelled():
                os.close(descriptor)
            if isinstance(error, TimeoutError):
                raise self.busy() from None
            raise

    def busy(self) -> StoreBusy:
        """Return the error for those who waited in vain."""
        return StoreBusy(f"another writer has held {self._path} for over {self.longest_wait:g} s")
