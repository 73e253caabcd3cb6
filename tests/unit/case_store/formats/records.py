"""Events for tests of the formats: one of every type that the code records, and one with whatever a test says."""

from sqlalchemy import inspect

from case_store.actor import Actor
from case_store.audit.catalogue import AREAS
from case_store.audit.events import Event, Place, Subject
from case_store.audit.formats import Names, Record
from case_store.models import Audited, Base
from tests.store.making import NOW

CASE, PERSON, ROW = "01a1-case", "01a1-person", "01a1-row"
EVENT_ID = "01a20c22-f07f-76e4-8202-15fe1ebbffcc"
TASK = Subject("task", ROW, 2)
ANA = Actor.person(PERSON)
NAMES = Names({PERSON: "ana"}, {CASE: 12})
WITHHELD = {"_sd": "WnBz0yBqSc9Lk1h5S1dV8W2mE6lPZ1sQ4rVxTz7uY3o"}
SHA256 = "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4"
_VALUES = {"JSON": {"a": [1, "two"]}, "BIGINT": 3, "INTEGER": 3, "BOOLEAN": True}
_COLUMNS = {"severity": "high", "sha256": SHA256, "roles": ["tier1"], "outcome": "failed"}


def record(type_, changes=None, facts=None, *, by=ANA, subject=TASK, stream=f"case/{CASE}", **more) -> Record:
    """Return an event of this type; `more` are its place in the tree, names, and request."""
    event = Event(
        event_id=more.pop("event_id", EVENT_ID),
        at=NOW,
        type=type_,
        stream=stream,
        by=by,
        request_id=more.pop("request_id", "request-1"),
        subject=subject,
        changes=changes or {},
        facts=facts or {},
    )
    # An event escapes a `_sd` of its own; here it stands for a commitment, which only the ledger makes.
    body = event.body(Place(7, bytes(32))).replace('"\\\\_sd"', '"_sd"')
    return Record.of(body, idx=more.pop("idx", 41), names=more.pop("names", NAMES), **more)


def recorded_types() -> frozenset[str]:
    """Return each type that the code records."""
    return frozenset(kind.type for kinds in AREAS.values() for kind in kinds)


def variants(type_) -> list[Record]:
    """Return events of a type as they may come: with all columns of their row, withheld ones, and about nothing."""
    family = type_.partition(".")[0]
    changes = _whole_row(family)
    facts = {"outbox_id": 4, "template": "assigned", "run_id": "r-1", "run_kind": "flow-run", "state_type": "RUNNING"}
    withheld = dict.fromkeys(changes, (None, WITHHELD))
    undone = {name: (after, None) for name, (_, after) in changes.items()}
    ids = [f"{type_}-{number}" for number in range(3)]
    rows = [Subject(family, one, 1) for one in ids]
    return [
        record(type_, changes, facts, subject=rows[0], event_id=ids[0]),
        record(type_, undone, subject=rows[1], event_id=ids[1], idx=None),
        record(type_, withheld, {"name": WITHHELD, "sha256": WITHHELD}, subject=rows[2], event_id=ids[2]),
        record(type_, {}, facts, subject=None, by=Actor.system("relay"), stream="system"),
        record(type_, {}, {}, subject=None, by=Actor.run("run-1"), stream=f"person/{PERSON}", names=Names()),
    ]


def _whole_row(family):
    kinds = {one.class_.entity_type: one for one in Base.registry.mappers if issubclass(one.class_, Audited)}
    if family not in kinds:
        return {}
    columns = inspect(kinds[family].class_).columns
    return {one.key: (None, _COLUMNS.get(one.key, _VALUES.get(str(one.type), f"some {one.key}"))) for one in columns}
