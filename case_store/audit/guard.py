"""The session that refuses a change without its audit event.

`GuardedSession` looks at every flush before its SQL runs: each row that changes must have a declared event with an
author and a time. It computes before and after from the history of the attributes and inserts the events first, so
that the triggers of the database can demand them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NoReturn

from sqlalchemy import Delete, Insert, TextClause, TextualSelect, Update, event, inspect, select
from sqlalchemy.orm import FromStatement, ORMExecuteState, Session, UOWTransaction
from sqlalchemy.schema import ExecutableDDLElement

from case_store.audit import commitments, private, telling
from case_store.audit.chain import append
from case_store.audit.commitments import Personal
from case_store.audit.events import Event
from case_store.audit.ledger import Declared, Ledger, entity_key, entity_type
from case_store.clean import clean_json
from case_store.errors import (
    AppendOnly,
    AuditedRowDeleted,
    BeforeUnknown,
    BulkChangeRefused,
    ReadOnly,
    UnauditedChange,
)
from case_store.models import (
    Audited,
    AuditEvent,
    Base,
    Person,
    WrittenOnce,
)

LEDGER = "ledger"
_NOT_TOLD = ("id", "version")  # the event names them elsewhere

_AUDIT_EVENTS = Base.metadata.tables[AuditEvent.__tablename__]
_PEOPLE = Base.metadata.tables[Person.__tablename__]

Changes = Mapping[str, tuple[object, object]]


def _tables(*kinds: type) -> frozenset[str]:
    return frozenset(str(mapper.local_table) for mapper in Base.registry.mappers if issubclass(mapper.class_, kinds))


AUDITED_TABLES = _tables(Audited)
WRITTEN_ONCE_TABLES = _tables(WrittenOnce)
_GUARDED = AUDITED_TABLES | WRITTEN_ONCE_TABLES
_CHANGES_ROWS = re.compile(r"\b(insert|update|delete|replace|truncate|merge|copy|alter|drop|create)\b", re.IGNORECASE)
_GUARDED_NAME = re.compile(rf"\b({'|'.join(sorted(_GUARDED))})\b", re.IGNORECASE)


class GuardedSession(Session):
    """A session whose changes carry their audit events."""

    def bulk_save_objects(self, *_args: object, **_options: object) -> NoReturn:
        """Refuse: this way leads around the unit of work."""
        raise BulkChangeRefused("bulk_save_objects writes no audit events")

    def bulk_insert_mappings(self, *_args: object, **_options: object) -> NoReturn:
        """Refuse: this way leads around the unit of work."""
        raise BulkChangeRefused("bulk_insert_mappings writes no audit events")

    def bulk_update_mappings(self, *_args: object, **_options: object) -> NoReturn:
        """Refuse: this way leads around the unit of work."""
        raise BulkChangeRefused("bulk_update_mappings writes no audit events")


def ledger_of(session: Session) -> Ledger:
    """Return the ledger of the transaction.

    Raises:
        UnauditedChange: The session was not opened by the store.
    """
    ledger = session.info.get(LEDGER)
    if not isinstance(ledger, Ledger):
        raise UnauditedChange("this session was not opened by CaseStore.transaction()")
    return ledger


def write_changes(session: Session) -> None:
    """Write what was changed, and the events that no flush writes because no row changes with them."""
    session.flush()
    ledger = ledger_of(session)
    _insert(session, [declared.event(ledger.request_id, None, {}) for declared in ledger.take()])


def write_disclosures(session: Session) -> None:
    """Write the disclosures that the transaction has gathered."""
    ledger = ledger_of(session)
    rows, ledger.disclosures = ledger.disclosures, []
    if rows:
        private.write(session.connection(), rows)


def write_all(session: Session) -> None:
    """Write everything, the disclosures too: the end of a transaction."""
    write_changes(session)
    write_disclosures(session)


@event.listens_for(GuardedSession, "before_flush")
def _before_flush(session: Session, _context: UOWTransaction, _instances: object) -> None:
    changing = [*session.new, *(row for row in session.dirty if telling.is_modified(row))]
    if not changing and not session.deleted:
        return
    ledger = ledger_of(session)
    if ledger.read_only:
        raise ReadOnly(f"a reading transaction would change {_names(changing or session.deleted)}")
    _refuse_rewriting(session, changing)
    audited = [row for row in changing if isinstance(row, Audited)]
    declared = ledger.take()
    _require_told(changing, declared)
    changed = {id(row) for row in audited}
    _insert(session, [_event(session, entry, changed=id(entry.entity) in changed) for entry in declared])


def _require_told(changing: Iterable[object], declared: Sequence[Declared]) -> None:
    """Refuse rows that change without an event: audited ones, and others that only the facts of an event tell of."""
    told = {id(entry.entity) for entry in declared}
    facts = [(name, entry.facts[name]) for entry in declared for name in telling.FACTS & entry.facts.keys()]
    untold = [row for row in changing if id(row) not in told and _needs_telling(row, facts)]
    if untold:
        raise UnauditedChange(f"no audit event for {_names(untold)}")


def _needs_telling(row: object, facts: Sequence[tuple[str, object]]) -> bool:
    return isinstance(row, Audited) or ((fact := telling.fact_of(row)) is not None and fact not in facts)


def _refuse_rewriting(session: Session, changing: Iterable[object]) -> None:
    for row in session.deleted:
        if isinstance(row, Audited):
            raise AuditedRowDeleted(f"{row!r} would be deleted")
        if isinstance(row, WrittenOnce):
            raise AppendOnly(f"{row!r} would be deleted")
    for row in changing:
        if isinstance(row, AuditEvent) or (isinstance(row, WrittenOnce) and row not in session.new):
            raise AppendOnly(f"{row!r} would be written by hand")


def _event(session: Session, declared: Declared, *, changed: bool) -> Event:
    entity, request_id = declared.entity, ledger_of(session).request_id
    if entity is None or not changed:
        return declared.event(request_id, None, {})
    return declared.event(request_id, _next_version(entity), _marked(session, entity, _changes(entity)))


def _next_version(entity: Base) -> int:
    return 1 if inspect(entity).key is None else getattr(entity, "version", 0) + 1


def _changes(entity: Base) -> dict[str, tuple[object, object]]:
    """Return before and after of each changed column; also makes the new texts storable."""
    state = inspect(entity)
    if state.key is None:
        values = {name: state.dict.get(name) for name in _told_columns(type(entity))}
        return {name: (None, _storable(entity, name, value)) for name, value in values.items() if value is not None}
    changes: dict[str, tuple[object, object]] = {}
    for name in [name for name in _told_columns(type(entity)) if name in state.committed_state]:
        history = telling.history(entity, name)
        if not history.added:
            continue
        if not history.deleted:
            raise BeforeUnknown(f"{entity!r}.{name} was set without having been loaded")
        changes[name] = (history.deleted[0], _storable(entity, name, history.added[0]))
    return changes


@cache
def _told_columns(kind: type[Base]) -> tuple[str, ...]:
    return tuple(name for name in kind.__mapper__.column_attrs.keys() if name not in _NOT_TOLD)  # noqa: SIM118 -- not a mapping


def _storable(entity: Base, name: str, value: object) -> object:
    """Return the value of an attribute as both databases can keep it, and have the attribute be that."""
    cleaned = clean_json(value)
    if cleaned != value:
        setattr(entity, name, cleaned)
    return cleaned


def _marked(session: Session, entity: Base, changes: dict[str, tuple[object, object]]) -> Changes:
    """Mark the values of personal columns."""
    columns = private.personal_columns(type(entity))
    return changes | {
        name: (_personal(session, entity, columns[name], before), _personal(session, entity, columns[name], after))
        for name, (before, after) in changes.items()
        if name in columns
    }


def _personal(session: Session, entity: Base, whom: str, value: object) -> object:
    if commitments.says_nothing(value):
        return value
    about = (entity_type(entity), entity_key(entity))
    if whom == "handle" and (person_id := _person_called(session, value)) is not None:
        about = (Person.entity_type, person_id)
    return Personal(value, about)


def _person_called(session: Session, handle: object) -> str | None:
    """Return the id of the person with a handle; whoever wrote the handle has mostly loaded the person."""
    loaded = (row.id for row in session.identity_map.values() if isinstance(row, Person) and row.handle == handle)
    called = select(_PEOPLE.c.id).where(_PEOPLE.c.handle == handle)
    return next(loaded, None) or session.connection().execute(called).scalar()


def _insert(session: Session, events: list[Event]) -> None:
    if events:
        ledger = ledger_of(session)
        ledger.disclosures += append(session.connection(), events, ledger.heads)


@event.listens_for(GuardedSession, "do_orm_execute")
def _before_execute(state: ORMExecuteState) -> None:
    statement = state.statement
    if isinstance(statement, TextualSelect | FromStatement):  # text().columns(), select().from_statement(text())
        statement = statement.element
    match statement:
        case Insert() | Update() | Delete():
            name = str(statement.table)
            appends = isinstance(statement, Insert) and name in WRITTEN_ONCE_TABLES and name != _AUDIT_EVENTS.name
            if name in _GUARDED and not appends:
                raise BulkChangeRefused(f"{type(statement).__name__.upper()} on {name}")
            if ledger_of(state.session).read_only:
                raise ReadOnly(f"a reading transaction would change {name}")
        case TextClause() if _CHANGES_ROWS.search(statement.text) and _GUARDED_NAME.search(statement.text):
            raise BulkChangeRefused(f"SQL text that may change a guarded table: {statement.text[:80]!r}")
        case ExecutableDDLElement():
            raise BulkChangeRefused(f"{type(statement).__name__} through a session")
        case _:
            pass


def _names(rows: Iterable[object]) -> str:
    return ", ".join(sorted(repr(row) for row in rows))
