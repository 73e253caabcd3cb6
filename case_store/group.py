"""Group commit on SQLite: changes of one process that come at the same time share one COMMIT.

A COMMIT waits for the disk, and on SQLite everybody waits with it. So a change that finds others in line behind it
leaves its COMMIT to the last of them. Within a group the changes come strictly one after another: the first in the
transaction itself, each further one in a savepoint. One COMMIT acknowledges all of them, or none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker

from case_store.errors import StoreUnavailable
from case_store.translate import while_connecting
from case_store.writer import WriterLock

LARGEST: Final = 64
"""How many changes share a COMMIT at most."""
LONGEST: Final = 0.05
"""Seconds after which nobody joins a group any more: other processes wait for the lock meanwhile."""

Commit = Callable[[AsyncSession | AsyncConnection], Awaitable[None]]


class _Place:
    """The place of a change in the line: it is called with a session, leaves with its error, and learns the outcome."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.called: asyncio.Future[AsyncSession] = loop.create_future()
        self.left: asyncio.Future[BaseException | None] = loop.create_future()
        self.outcome: asyncio.Future[None] = loop.create_future()

    def give_up(self, error: BaseException) -> None:
        """Leave the line; if the call has come at this very moment, what has begun for the change is taken back."""
        if not self.called.cancel() and not self.called.cancelled() and self.called.exception() is None:
            self.leave(error)

    def leave(self, error: BaseException | None = None) -> None:
        """Say that the change is made, or what ended it."""
        if not self.left.done():  # it is when the event loop ends, and everything with it
            self.left.set_result(error)

    def settle(self, error: BaseException | None = None) -> None:
        """Tell the change how it ended, wherever it stands; whoever was cancelled does not ask any more."""
        waited_for = self.outcome if self.called.done() else self.called
        if waited_for.done():
            return
        if error is None:
            self.outcome.set_result(None)
        else:
            waited_for.set_exception(error)
            waited_for.exception()


class GroupCommit:
    """The line of those in this process who want to change something on SQLite."""

    def __init__(
        self, engine: AsyncEngine, lock: WriterLock, make: async_sessionmaker[AsyncSession], commit: Commit
    ) -> None:
        self._engine, self._lock, self._make, self._commit = engine, lock, make, commit
        self._line: deque[_Place] = deque()
        self._at_work: asyncio.Task[None] | None = None
        self._one_by_one = 0
        """How many groups yet take one change only: a COMMIT of several was refused because of one of them."""

    @asynccontextmanager
    async def change(self) -> AsyncIterator[AsyncSession]:
        """Wait for one's turn, change something, and wait for the COMMIT, or until the change is taken back.

        Raises:
            StoreBusy: The turn did not come within the longest wait.
            StoreUnavailable: The group could not begin, or its COMMIT failed; nothing was written.
            CommitUnknown: The disk failed during the COMMIT.
        """
        place = _Place()
        self._line.append(place)
        self._set_to_work()
        session = await self._turn(place)
        try:
            yield session
        except BaseException as error:
            place.leave(error)
            await asyncio.wait([place.outcome])
            raise
        place.leave()
        await place.outcome

    async def close(self) -> None:
        """Wait until the line is empty."""
        while self._at_work is not None:
            await asyncio.wait([self._at_work])

    async def _turn(self, place: _Place) -> AsyncSession:
        try:
            async with asyncio.timeout(self._lock.longest_wait):
                return await place.called
        except BaseException as error:
            if place in self._line:
                self._line.remove(place)
            place.give_up(error)
            if isinstance(error, TimeoutError):
                raise self._lock.busy() from None
            raise

    def _set_to_work(self) -> None:
        if self._at_work is None:
            self._at_work = asyncio.get_running_loop().create_task(self._work(), name="casewright-group-commit")
            self._at_work.add_done_callback(self._rest)

    def _rest(self, _: asyncio.Task[None]) -> None:
        self._at_work = None
        if self._line:
            self._set_to_work()

    async def _work(self) -> None:
        """Serve the line until it is empty. A task of its own, so that nobody's being cancelled ends it."""
        served: list[_Place] = []
        try:
            async with self._engine.connect() as connection:
                while self._line:
                    served = []
                    await self._group(connection, served)
        except BaseException as error:
            # If it was one group that failed, those behind it get another. If none can begin, that is said to all.
            behind = [] if served and isinstance(error, Exception) else list(self._line)
            if behind:
                self._line.clear()
            for place in (*served, *behind):
                place.settle(error)
            if not isinstance(error, Exception):
                raise

    async def _group(self, connection: AsyncConnection, served: list[_Place]) -> None:
        async with self._lock.held():
            with while_connecting():
                await connection.begin()
            try:
                await self._serve(connection, served)
                await self._end(connection, served)
            except BaseException:
                await connection.invalidate()  # closes it, so SQLite takes everything back
                raise
        for place in served:
            place.settle()

    async def _serve(self, connection: AsyncConnection, served: list[_Place]) -> None:
        """Call those in line one after another, until the group is large or old enough or nobody waits."""
        most, until = LARGEST, asyncio.get_running_loop().time() + LONGEST
        if self._one_by_one:
            most, self._one_by_one = 1, self._one_by_one - 1
        while self._line and len(served) < most and (not served or asyncio.get_running_loop().time() < until):
            place = self._line.popleft()
            if not place.called.done():
                await self._one(connection, place, served)
                if not served:
                    return  # the first was taken back, and the transaction with it

    async def _one(self, connection: AsyncConnection, place: _Place, served: list[_Place]) -> None:
        """Have one change made, in a savepoint if it is not the first; an error takes back this change alone."""
        session = self._make(bind=connection, join_transaction_mode="create_savepoint" if served else "rollback_only")
        served.append(place)
        try:
            await session.connection()  # begins at once
            if place.called.done():  # gave up meanwhile
                error: BaseException | None = asyncio.CancelledError()
            else:
                place.called.set_result(session)
                error = await place.left
            if error is not None:
                await session.rollback()
            elif not _in_transaction(connection):  # whoever made the change has swallowed what SQLite said
                raise _taken_back()
            else:
                await self._commit(session)
        finally:
            await session.close()
        if error is not None:
            served.remove(place)
            place.settle()
            if served and not _in_transaction(connection):
                raise _taken_back(error)

    async def _end(self, connection: AsyncConnection, served: Sequence[_Place]) -> None:
        if not served:
            await connection.rollback()
            return
        try:
            await self._commit(connection)
        except IntegrityError as error:  # references are checked at the COMMIT
            if len(served) == 1:
                raise
            self._one_by_one = LARGEST  # so that, tried again, the one is refused and the others are not
            raise StoreUnavailable(
                f"nothing was written: a change of the same commit was refused ({error.orig})"
            ) from error


def _in_transaction(connection: AsyncConnection) -> bool:
    """Tell whether SQLite still has the transaction: a full disk, among others, takes it back as a whole."""
    driver = connection.sync_connection and connection.sync_connection.connection.driver_connection
    return bool(driver and driver.in_transaction)


def _taken_back(error: BaseException | None = None) -> BaseException:
    if isinstance(error, OperationalError):  # the disk is full or fails: true for all of them
        return error
    return StoreUnavailable("nothing was written: SQLite took back the changes of a whole commit")
