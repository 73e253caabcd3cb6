"""What a transaction has declared and not yet written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

from sqlalchemy import inspect

from case_store.actor import Actor
from case_store.audit import catalogue
from case_store.audit.commitments import Personal
from case_store.audit.events import Event, Subject, require
from case_store.errors import ReadOnly, TwoEventsForOneChange
from case_store.ids import new_id
from case_store.models import Audited, Base, Case, Person


@dataclass(frozen=True, slots=True)
class Declared:
    """An event that is written with the next flush."""

    event_id: str
    type: str
    entity: Base | None
    by: Actor
    at: datetime
    stream: str
    facts: Mapping[str, object]

    def event(self, request_id: str, version: int | None, changes: Mapping[str, tuple[object, object]]) -> Event:
        """Return the event with what the flush found out: the new version and the changes."""
        entity = self.entity
        return Event(
            event_id=self.event_id,
            at=self.at,
            type=self.type,
            stream=self.stream,
            by=self.by,
            request_id=request_id,
            subject=None if entity is None else Subject(entity_type(entity), entity_key(entity), version),
            changes=changes,
            facts=self.facts,
        )


@dataclass(slots=True)
class Ledger:
    """The declared events of one transaction; it lives in `session.info`."""

    request_id: str
    read_only: bool = False
    declared: list[Declared] = field(default_factory=list)
    heads: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Where the streams stand that this transaction has locked."""
    disclosures: list[dict[str, str]] = field(default_factory=list)
    """What is personal in the events so far; it is written once, before the commit."""
    _told: set[int] = field(default_factory=set)
    """Rows that have an event in `declared`, by `id`: many may change in one flush."""

    def declare(
        self,
        event_type: str,
        entity: Base | None,
        *,
        by: Actor | None,
        at: datetime | None,
        case: Case | str | None,
        facts: Mapping[str, object] | None,
        event_id: str | None,
    ) -> None:
        """Keep an event for the next flush."""
        if self.read_only:
            raise ReadOnly(f"{event_type}: a reading transaction records nothing")
        author, time = require(event_type, by, at)
        if entity is not None and id(entity) in self._told:
            raise TwoEventsForOneChange(f"{event_type}: {entity!r} already has an event in this flush")
        stream, told = stream_of(entity, case), dict(facts or {})
        catalogue.require(event_type, None if entity is None else entity_type(entity), stream, told)
        self._told.add(id(entity))
        self.declared.append(Declared(event_id or new_id(), event_type, entity, author, time, stream, told))

    def take(self) -> list[Declared]:
        """Hand over the declared events and forget them."""
        taken, self.declared = self.declared, []
        self._told.clear()
        return taken


def stream_of(entity: Base | None, case: Case | str | None = None) -> str:
    """Return the stream that an event belongs to: that of its case, of its person, or the system's."""
    case_id = case.id if isinstance(case, Case) else case
    if case_id is None:
        case_id = entity.id if isinstance(entity, Case) else getattr(entity, "case_id", None)
    if case_id is not None:
        return f"case/{case_id}"
    return f"person/{entity.id}" if isinstance(entity, Person) else "system"


def entity_type(entity: Base) -> str:
    """Return the word by which events name this kind of row."""
    return entity.entity_type if isinstance(entity, Audited) else entity.__tablename__


def entity_key(entity: Base) -> str:
    """Return the primary key of a row, as events write it."""
    return "/".join(str(getattr(entity, name)) for name in _key_of(type(entity)))


@cache
def _key_of(kind: type[Base]) -> tuple[str, ...]:
    mapper = inspect(kind)
    return tuple(mapper.get_property_by_column(column).key for column in mapper.primary_key)


def personal(entity: Base, value: object) -> Personal:
    """Mark a fact as personal: the erasure of the row takes it away."""
    return Personal(value, (entity_type(entity), entity_key(entity)))
