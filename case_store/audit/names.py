"""What people say instead of the ids in events: handles and numbers of cases, looked up as they come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from case_store.actor import Actor
from case_store.audit.formats import Names
from case_store.models import Case, Person

if TYPE_CHECKING:
    from case_store.store import Tx

_MOST: Final = 10_000


@dataclass(slots=True)
class KnownNames:
    """The names that were looked up so far; forgotten when there are too many."""

    handles: dict[str, str] = field(default_factory=dict)
    cases: dict[str, int] = field(default_factory=dict)

    async def of(self, tx: Tx, events: Iterable[tuple[str, Actor]]) -> Names:
        """Return the names of those who are in these events, given as stream and actor; what has none is no matter.

        Whoever reads learns no name of what is hidden from them, and only has a look at what the events are about.
        """
        if len(self.handles) + len(self.cases) > _MOST:
            self.handles, self.cases = {}, {}
        people, cases = set[str](), set[str]()
        for stream, actor in events:
            kind, _, entity = stream.partition("/")
            people |= {actor.id} if actor.kind == "person" else set()
            people |= {entity} if kind == "person" else set()
            cases |= {entity} if kind == "case" else set()
        if missing := people - self.handles.keys():
            found = await tx.session.execute(select(Person.id, Person.handle).where(Person.id.in_(missing)))
            self.handles |= {row.id: row.handle for row in found}
        if absent := cases - self.cases.keys():
            numbers = await tx.session.execute(select(Case.id, Case.number).where(Case.id.in_(absent)))
            self.cases |= {row.id: row.number for row in numbers}
        return Names(self.handles, self.cases)
