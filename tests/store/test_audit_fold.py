"""The tables are the fold of the audit events, whatever verbs were used; and what is not is named."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import select

from case_store import find
from case_store.audit import beside, fold, private
from case_store.models import Audited, AuditEvent, Base
from case_store.store import CaseStore
from tests.store import world
from tests.store.busy import Busy
from tests.store.conftest import Sql
from tests.store.life import Life
from tests.store.world import NOW

STEPS = 120
AUDITED = [mapper.class_ for mapper in Base.registry.mappers if issubclass(mapper.class_, Audited)]


async def differences(store: CaseStore) -> list[str]:
    async with store.reading() as tx:
        found = [str(one) async for one in fold.differences(tx)]
        return found + [str(one) async for one in beside.differences(tx)]


@dataclass
class Told:
    """What the events make, kept up step by step: so that every table can be compared after each of many steps."""

    store: CaseStore
    rows: dict[str, fold.Folded] = field(default_factory=dict)
    last: int = 0
    kinds: set[str] = field(default_factory=set)

    async def differences(self) -> list[str]:
        """Fold the events that are new, and compare all audited rows there are."""
        async with self.store.reading() as tx:
            new = (await tx.session.scalars(select(AuditEvent).where(AuditEvent.id > self.last))).all()
            new = sorted(new, key=lambda event: event.id)
            self.last = new[-1].id if new else self.last
            self.kinds |= {event.type for event in new}
            fold.fold(await private.read(tx, [event.body for event in new], gone=None), self.rows)
            live = {row.id: row for kind in AUDITED for row in await tx.session.scalars(select(kind))}
            gone = [row_id for row_id in self.rows if row_id not in live]
            return gone + [str(one) for row in live.values() for one in fold.compared(row, self.rows.get(row.id))]


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_was_done_the_events_tell_the_state(store: CaseStore, seed: int):
    """Everything is compared after each step; from nothing, and with what is beside the audited rows, at the end."""
    life, told = Busy(store, await world.build(store), seed), Told(store)
    for number in range(STEPS):
        await life.step(number)
        assert await told.differences() == [], f"after step {number}"
    assert await differences(store) == []
    assert life.done > STEPS / 4
    assert len(told.kinds) > 40


async def test_a_case_is_shown_as_it_was(store: CaseStore):
    drill = await world.build(store)
    seen: list[tuple[int, dict[str, object]]] = []
    life = Life(store, drill, seed=11)
    life.verbs = tuple(verb for verb in Life.verbs if verb is not Life.erase)  # it also takes away what was
    for number in range(60):
        await life.step(number)
        async with store.reading() as tx:
            last, rows = await fold.replay(tx, drill.case)
            live = await find.case(tx, drill.case.id)
            assert (rows[drill.case.id].values["title"], rows[drill.case.id].version) == (live.title, live.version)
            seen.append((last, {row.id: dict(row.values) for row in rows.values()}))
    async with store.reading() as tx:
        for last, then in seen:
            _, rows = await fold.replay(tx, drill.case, seq=last)
            assert {row.id: row.values for row in rows.values()} == then
        last, rows = await fold.replay(tx, drill.case, until=NOW)
        assert rows[drill.case.id].values["state"] == "open"
        assert (await fold.replay(tx, drill.case, until=NOW - timedelta(days=1))) == (0, {})


async def test_after_a_clock_that_went_back_no_state_is_shown_that_never_was(store: CaseStore):
    """Opened at noon, renamed ahead of time, then again by the right clock: at noon nobody had renamed it twice."""
    drill = await world.build(store)
    async with store.reading() as tx:
        last = (await fold.replay(tx, drill.case))[0]
    for title, at in (("ahead", NOW + timedelta(hours=3)), ("right", NOW + timedelta(hours=1))):
        async with store.transaction() as tx:
            case = await find.case(tx, drill.case.id)
            case.title = title
            tx.record("test.changed", case, by=world.SYSTEM, at=at)
    async with store.reading() as tx:
        for hours, title, seq in ((0, "Suspicious mail", last), (2, "Suspicious mail", last), (3, "right", last + 2)):
            found, rows = await fold.replay(tx, drill.case, until=NOW + timedelta(hours=hours))
            assert (found, rows[drill.case.id].values["title"]) == (seq, title)
            assert rows == (await fold.replay(tx, drill.case, seq=seq))[1]


TAMPERING = {
    "UPDATE tasks SET state = 'done' WHERE key = 'report'": 'state is "done", and by its events "waiting"',
    "UPDATE cases SET version = version + 1": "version is 2, and by its events 1",
    "UPDATE people SET email = 'eve@example.com' WHERE handle = 'ada'": 'email is "eve@example.com"',
    "DELETE FROM tasks WHERE key = 'tidy'": "it is not in its table, and by its events it exists",
    "UPDATE audit_events SET entity_id = 'x' || id WHERE entity_type = 'person'": "by its events it does not exist",
}


@pytest.mark.parametrize("statement", TAMPERING)
async def test_what_the_owner_of_the_database_changes_is_named(store: CaseStore, sql: Sql, statement: str):
    await world.build(store)
    assert await differences(store) == []
    await _without_guards(sql, store, statement)
    found = await differences(store)
    assert any(TAMPERING[statement] in one for one in found), found


async def _without_guards(sql: Sql, store: CaseStore, statement: str) -> None:
    """Change something as the owner can: with the triggers out of the way."""
    if store.url.drivername.startswith("sqlite"):
        for (name,) in await sql("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            await sql(f"DROP TRIGGER {name}")
    else:
        for table in ("tasks", "cases", "people", "audit_events"):
            await sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    await sql(statement)
