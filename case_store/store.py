"""The case store: transactions, and the only commit in the code base."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker

from case_store import schema
from case_store.actor import Actor
from case_store.audit.guard import LEDGER, GuardedSession, write_all, write_changes, write_disclosures
from case_store.audit.ledger import Ledger
from case_store.engines import create_engines, parse_url, sqlite_file
from case_store.errors import CommitUnknown, NestedTransaction, SchemaNotCurrent
from case_store.group import GroupCommit
from case_store.ids import new_id
from case_store.models import Base, Case
from case_store.settings import ALARM_ROLE, Settings
from case_store.translate import outcome_unknown, speaking_plainly, while_connecting
from case_store.writer import WriterLock, lock_file
from sop.calendars import calendars_in
from sop.worktime import Calendar


class Tx:
    """One transaction: what a verb or a view works in."""

    def __init__(
        self, session: AsyncSession, ledger: Ledger, calendars: Mapping[str, Calendar], alarm_role: str
    ) -> None:
        self.session = session
        self.calendars = calendars
        """When people work, by the names that SOPs use."""
        self.alarm_role = alarm_role
        """Who hears what would be heard by nobody."""
        self.held: dict[tuple[type[Any], str], Any] = {}
        """Rows that were read under the lock of their case: until the end, nobody else changes them."""
        self._ledger = ledger

    @property
    def request_id(self) -> str:
        """The request that all events of this transaction name."""
        return self._ledger.request_id

    def record(
        self,
        event_type: str,
        entity: Base | None,
        /,
        *,
        by: Actor,
        at: datetime,
        case: Case | str | None = None,
        facts: Mapping[str, object] | None = None,
        event_id: str | None = None,
    ) -> None:
        """Declare the audit event for the entity's change; the next flush writes it, before the change.

        Before and after come from the entity. An entity that does not change, or None, gives an event of facts only.
        The event goes to the stream of `case` (the row or its id) if given, else of the entity's case or person.
        """
        self._ledger.declare(event_type, entity, by=by, at=at, case=case, facts=facts, event_id=event_id)

    async def flush(self) -> None:
        """Write what was changed and declared so far: the end of one verb."""
        if self._unwritten:
            await self.session.run_sync(write_changes)

    async def settle(self) -> None:
        """Write what is kept back until the commit: the disclosures of what is personal in the events so far."""
        if self._ledger.disclosures:
            await self.session.run_sync(write_disclosures)

    async def finish(self) -> None:
        """Write everything: the end of the transaction."""
        if self._unwritten or self._ledger.disclosures:
            await self.session.run_sync(write_all)

    @property
    def _unwritten(self) -> bool:
        session = self.session.sync_session
        return bool(self._ledger.declared or session.new or session.dirty or session.deleted)


class CaseStore:
    """The book of record on one database.

    Args:
        url: The database.
        blobs: Folder of the evidence.
        calendars: When people work.
        alarm_role: Who hears what would be heard by nobody.
    """

    def __init__(
        self,
        url: str,
        blobs: Path,
        calendars: Mapping[str, Calendar] = MappingProxyType({}),
        alarm_role: str = ALARM_ROLE,
    ) -> None:
        self.url = parse_url(url)
        self.blobs = blobs
        self._calendars, self._alarm_role = calendars, alarm_role
        self._engines = create_engines(self.url)
        file = sqlite_file(self.url)
        self._writing: set[asyncio.Task[object] | None] = set()
        self._write_session = _sessions(self._engines.writing)
        self._read_session = _sessions(self._engines.reading)
        self._group = (
            GroupCommit(self._engines.writing, WriterLock(lock_file(file)), self._write_session, _commit)
            if file
            else None
        )

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Return a store whose tables and triggers are those of this version.

        Raises:
            SchemaNotCurrent: The tables are older, newer or missing.
            GuardsMissing: The triggers that protect the audit trail are not all there.
            StoreUnavailable: The database cannot be reached.
        """
        store = cls(settings.database_url, settings.blobs, calendars_in(settings.sops)[0], settings.alarm_role)
        try:
            await store._require_current_schema()
        except BaseException:
            await store.close()
            raise
        return store

    async def _require_current_schema(self) -> None:
        file = sqlite_file(self.url)
        if file is not None and not file.exists():
            raise SchemaNotCurrent(f"there is no database at {file}")
        async with self.reading() as tx:
            await (await tx.session.connection()).run_sync(schema.require_current)

    async def close(self) -> None:
        """Wait for those who still write, then close all connections."""
        if self._group is not None:
            await self._group.close()
        await self._engines.dispose()

    @asynccontextmanager
    async def transaction(self, request_id: str | None = None) -> AsyncIterator[Tx]:
        """Write one whole change, or nothing: commits at the end, rolls back on any error.

        Raises:
            StoreUnavailable: Temporary; nothing was written (CommitUnknown: perhaps it was).
            ConcurrentChange: Somebody else changed the same row first.
            StoreError: The database refused; see its subclasses.
        """
        task = asyncio.current_task()
        if task in self._writing:
            raise NestedTransaction
        self._writing.add(task)
        try:
            with speaking_plainly():
                async with self._change() as session:
                    tx = self._tx(session, request_id, read_only=False)
                    yield tx
                    await tx.finish()
        finally:
            self._writing.discard(task)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Tx]:
        """Read one consistent state; nothing can be changed in it."""
        with speaking_plainly():
            async with _begun(self._read_session) as session:
                yield self._tx(session, None, read_only=True)

    def _change(self) -> AbstractAsyncContextManager[AsyncSession]:
        return self._alone() if self._group is None else self._group.change()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[AsyncSession]:
        async with _begun(self._write_session) as session:
            yield session
            await _commit(session)

    def _tx(self, session: AsyncSession, request_id: str | None, *, read_only: bool) -> Tx:
        ledger = Ledger(request_id or new_id(), read_only=read_only)
        session.sync_session.info[LEDGER] = ledger
        return Tx(session, ledger, self._calendars, self._alarm_role)


def _sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    # No autoflush: a query in the middle of a verb must not write half of it, before its event is declared.
    return async_sessionmaker(engine, autoflush=False, expire_on_commit=False, sync_session_class=GuardedSession)


@asynccontextmanager
async def _begun(make: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
    async with make() as session:
        with while_connecting():
            await session.connection()  # begins at once
        yield session


async def _commit(change: AsyncSession | AsyncConnection) -> None:
    try:
        await change.commit()
    except DBAPIError as error:
        if outcome_unknown(error):
            raise CommitUnknown from error
        raise
