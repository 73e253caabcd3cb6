"""One call of the command line: who makes it, when, and the way to the case store."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from console.errors import BadSetting, NotAPerson
from console.output import Printer

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from case_store.actor import Actor
    from case_store.models import Person
    from case_store.reader import Reader
    from case_store.settings import Settings
    from case_store.store import CaseStore, Tx


@dataclass
class Call:
    """What every command gets besides its own arguments.

    The edge of the program: the only place of the command line that asks for the time and the person.
    """

    person_name: str
    """Handle, e-mail address or id of whom the call is made by; looked up when it matters."""
    debug: bool = False
    printer: Printer = field(default_factory=Printer)
    request_id: str = field(default_factory=lambda: f"cli-{uuid.uuid4()}")
    """Ties all audit events of this call together."""

    @property
    def now(self) -> datetime:
        """The time of asking, in UTC."""
        return datetime.now(UTC)

    @cached_property
    def settings(self) -> "Settings":
        """The settings, read from the environment once.

        Raises:
            BadSetting: One of them has a value that cannot be used.
        """
        from pydantic import ValidationError

        from case_store.settings import Settings

        try:
            return Settings()
        except ValidationError as error:
            # Only names and reasons: a value may be a secret.
            raise BadSetting("\n".join(map(_wrong, error.errors()))) from None

    @asynccontextmanager
    async def store(self) -> "AsyncIterator[CaseStore]":
        """Open the case store, and close it at the end."""
        from case_store.store import CaseStore

        store = await CaseStore.open(self.settings)
        try:
            yield store
        finally:
            await store.close()

    @asynccontextmanager
    async def reading(self) -> "AsyncIterator[Tx]":
        """Open the case store for reading."""
        async with self.store() as store, self.looking(store) as tx:
            yield tx

    @asynccontextmanager
    async def whole(self) -> "AsyncIterator[Tx]":
        """Open the case store for reading all of it: for what checks it and shows no content."""
        async with self.store() as store, store.reading() as tx:
            yield tx

    @asynccontextmanager
    async def looking(self, store: "CaseStore") -> "AsyncIterator[Tx]":
        """Read what whoever makes this call may see; what they met of restricted cases is put on record."""
        async with self._on_record(store) as met, store.reading() as tx:
            met.append((await self._read_as(tx), await self._actor(tx)))
            yield tx

    @asynccontextmanager
    async def writing(self, *, whole: bool = False) -> "AsyncIterator[tuple[Tx, Person]]":
        """Begin the one transaction of a command that changes something, with the person who acts.

        Nobody changes what they may not see, unless it is to reach everything (`whole`): an erasure does.
        """
        async with (
            self.store() as store,
            self._on_record(store) as met,
            store.transaction(request_id=self.request_id) as tx,
        ):
            person = await self.person(tx)
            if not whole:
                met.append((await self._read_as(tx, looks=False), await self._actor(tx)))
            yield tx, person

    @asynccontextmanager
    async def _on_record(self, store: "CaseStore") -> "AsyncIterator[list[tuple[Reader, Actor]]]":
        """Put on record, however it ends, which restricted cases were seen and which were refused."""
        from case_store import access

        met: list[tuple[Reader, Actor]] = []
        try:
            yield met
        finally:
            for reader, actor in met:
                if reader.seen or reader.refused:
                    async with store.transaction(request_id=self.request_id) as tx:
                        access.record(tx, reader, by=actor, at=self.now)

    async def _read_as(self, tx: "Tx", *, looks: bool = True) -> "Reader":
        from case_store import access

        return await access.read_as(tx, await self._known(tx), looks=looks)

    async def _actor(self, tx: "Tx") -> "Actor":
        from case_store.actor import Actor

        person = await self._known(tx)
        return Actor.person(person) if person else Actor.system("console")

    async def _known(self, tx: "Tx") -> "Person | None":
        try:
            return await self.person(tx)
        except NotAPerson:
            return None

    async def person(self, tx: "Tx") -> "Person":
        """Return the person who makes this call.

        Raises:
            NotAPerson: The name given (or the login name) is not known in the case store.
        """
        from case_store import find
        from case_store.refusals import NotFound

        try:
            return await find.person(tx, self.person_name)
        except NotFound as error:
            raise NotAPerson(f"nobody called {self.person_name!r} is in the case store") from error


def _wrong(error: "ErrorDetails") -> str:
    """Say what is wrong with a setting, without what pydantic puts in front of our reasons.

    A rule about several settings names them itself.
    """
    name = f"CASEWRIGHT_{'_'.join(map(str, error['loc'])).upper()}: " if error["loc"] else ""
    return f"{name}{error['msg'].removeprefix('Value error, ')}"


Here = Annotated[Call, Parameter(parse=False)]
"""How a command asks for its call: ``call: Here``; never read from the command line."""
