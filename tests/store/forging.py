"""Audit events as somebody would write them who can write SQL and has read how they are made."""

from case_store.audit.events import Event, Place, Subject
from case_store.ids import new_id
from case_store.store import CaseStore
from tests.store.conftest import Sql
from tests.store.making import BY, LATER


def about(stream: str, entity: str | None = None, version: int | None = None, entity_type: str = "task") -> Event:
    """An event of this stream, about a row or nothing."""
    subject = Subject(entity_type, entity, version) if entity else None
    return Event(event_id=new_id(), at=LATER, type="test.forged", stream=stream, by=BY, request_id="r", subject=subject)


async def end_of(sql: Sql, stream: str | None = None) -> tuple[str, Place]:
    """Return a stream and the place after its last event."""
    where = f"WHERE stream = '{stream}'" if stream else ""
    [[name, seq, head]] = await sql(f"SELECT stream, seq, head FROM audit_streams {where} ORDER BY stream LIMIT 1")
    return str(name), Place(int(str(seq)) + 1, bytes(head) or None)  # type: ignore[call-overload]


def insertion(event: Event, place: Place, *, sqlite: bool, **instead: object) -> str:
    """Return the SQL that writes an event into this place; `instead` are columns that say something else."""
    values = {**event.row(place), **instead}
    return (
        f"INSERT INTO audit_events ({', '.join(values)}) VALUES ({', '.join(_sql(v, sqlite) for v in values.values())})"
    )


async def by_hand(store: CaseStore, sql: Sql, entity: str, version: int, entity_type: str) -> str:
    """Return the SQL of an event about a row, in its right place."""
    stream, place = await end_of(sql)
    event = about(stream, entity, version, entity_type)
    return insertion(event, place, sqlite=store.url.drivername.startswith("sqlite"))


def _sql(value: object, sqlite: bool) -> str:
    match value:
        case None:
            return "NULL"
        case bytes():
            return f"x'{value.hex()}'" if sqlite else f"'\\x{value.hex()}'"
        case int():
            return str(value)
        case _:
            return "'" + str(value).replace("'", "''") + "'"
