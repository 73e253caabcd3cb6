"""Every verb of the case store with nobody who does it, without its event, and with a log that cannot be written.

In each case nothing changes, in no table. On PostgreSQL this runs as the application role of a hardened database.
"""

import inspect
import itertools
import pkgutil
from contextlib import suppress
from importlib import import_module

import pytest
from sqlalchemy import select
from sqlalchemy.exc import NoResultFound

import case_store
from case_store.audit import guard, sequencer
from case_store.audit.ledger import Ledger
from case_store.errors import DatabaseRefused, StoreError, UnattributedChange, UnauditedChange
from case_store.models import Base
from case_store.store import CaseStore
from tests.store import every_verb, world
from tests.store.conftest import Sql, run_sql
from tests.store.every_verb import VERBS, Scene, Verb
from tests.store.world import ENGINE, LATER

CANNOT_WRITE = {
    "sqlite": ["CREATE TRIGGER broken BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'no audit today'); END"],
    "application": [
        "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no audit today''; END'",
        "CREATE TRIGGER broken BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION broken()",
    ],
}
CAN_AGAIN = {"sqlite": "DROP TRIGGER broken", "application": "DROP FUNCTION broken CASCADE"}
Tables = dict[str, list[str]]


class Undo(Exception):
    """Ends a transaction that only looks."""


@pytest.fixture(params=["sqlite", "application"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database_url(kind: str, request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("sqlite_database" if kind == "sqlite" else "hardened_database"))


@pytest.fixture
def sql(kind: str, database_url: str, request: pytest.FixtureRequest) -> Sql:
    """SQL of one who is above all guards."""
    found: Sql = run_sql(database_url) if kind == "sqlite" else request.getfixturevalue("as_superuser")
    return found


async def everything(store: CaseStore) -> Tables:
    """All rows of all tables."""
    async with store.reading() as tx:
        connection = await tx.session.connection()
        return {
            table.name: sorted(map(repr, (await connection.execute(select(table))).all()))
            for table in Base.metadata.sorted_tables
        }


async def call(scene: Scene, verb: Verb, by: object = ENGINE, *, undo: bool = False) -> None:
    """Call the verb in a transaction of its own; those that open their own get a dead one."""
    if verb.call.__qualname__.startswith("on_store."):
        await verb.call(None, scene, by)  # type: ignore[arg-type]
        return
    async with scene.store.transaction() as tx:
        await verb.call(tx, scene, by)  # type: ignore[arg-type]
        await tx.flush()
        if undo:
            raise Undo


class Dropped:
    """Takes the n-th event out of the ledger, as if the verb had not declared it; counts all of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, index: int | None = None) -> None:
        self.events = 0
        declare, counted = Ledger.declare, itertools.count()

        def declare_or_not(ledger: Ledger, *words: object, **options: object) -> None:
            self.events += 1
            if next(counted) != index:
                declare(ledger, *words, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(Ledger, "declare", declare_or_not)


async def events_of(scene: Scene, verb: Verb) -> int:
    """How many events the verb declares."""
    if verb.call.__qualname__.startswith("on_store."):
        return 1
    with pytest.MonkeyPatch.context() as patched:
        dropped = Dropped(patched)
        with pytest.raises(Undo):
            await call(scene, verb, undo=True)
    return dropped.events


@pytest.mark.parametrize("name", VERBS)
async def test_changes_nothing_without_actor_event_or_log(store: CaseStore, sql: Sql, kind: str, name: str):
    verb = VERBS[name]
    scene = Scene(store, await world.build(store))
    if verb.prepare is not None:
        async with store.transaction() as tx:
            scene.made = await verb.prepare(tx, scene)
    await sequencer.seal(store, every_verb.SIGNER, LATER)
    before = await everything(store)

    with pytest.raises(UnattributedChange):
        await call(scene, verb, None)
    assert await everything(store) == before, "nobody did it, and something changed"

    for index in range(await events_of(scene, verb)):
        await _without_event(scene, verb, index)
    assert await everything(store) == before, "an event was left out, and something changed"

    for statement in CANNOT_WRITE[kind]:
        await sql(statement)
    with pytest.raises(StoreError, match="no audit today"):
        await call(scene, verb)
    await sql(CAN_AGAIN[kind])
    assert await everything(store) == before, "the log could not be written, and something changed"

    await call(scene, verb)
    assert (await everything(store))["audit_events"] != before["audit_events"], "and when all is well it does work"


async def _without_event(scene: Scene, verb: Verb, index: int) -> None:
    """Leave an event out: the session refuses, and with the session's guard out of the way the database does."""
    with pytest.MonkeyPatch.context() as patched:
        Dropped(patched, index)
        if verb.writes_only_its_event:
            with suppress(StoreError, NoResultFound):  # an export that finds no event of its own
                await call(scene, verb)
            return
        with pytest.raises(UnauditedChange):
            await call(scene, verb)
    if verb.about_no_row:
        return
    with pytest.MonkeyPatch.context() as patched:
        Dropped(patched, index)
        patched.setattr(guard, "_require_told", lambda *_: None)
        with pytest.raises(DatabaseRefused, match="needs its audit event"):
            await call(scene, verb)


def test_every_verb_is_among_them():
    """A verb is a public coroutine function that is told who does it."""
    found = set()
    for module in pkgutil.walk_packages(case_store.__path__, "case_store."):
        if ".migrations" in module.name:
            continue
        for name, function in inspect.getmembers(import_module(module.name), inspect.iscoroutinefunction):
            own = function.__module__ == module.name and not name.startswith("_")
            by = inspect.signature(function).parameters.get("by")
            if own and by is not None and "Actor" in str(by.annotation):
                found.add(f"{module.name.removeprefix('case_store.')}.{name}")
    assert found == set(VERBS)
    assert every_verb.VERBS is VERBS
