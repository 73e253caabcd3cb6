"""Rows for the tests, with the events that they need."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from case_store.actor import Actor
from case_store.ids import new_id
from case_store.models import Case, Person, SopDocument, Stage, Task
from case_store.store import CaseStore, Tx

NOW = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
BY = Actor.system("test")


async def in_transaction(store: CaseStore, work: Callable[[Tx], Awaitable[object]]) -> None:
    """Do the work in one transaction: what a test expects to be refused, in one word."""
    async with store.transaction() as tx:
        await work(tx)


def add_person(tx: Tx, handle: str = "ann", **columns: object) -> Person:
    """A person, declared and not yet flushed."""
    person = Person(**{"handle": handle, "name": handle.title(), **columns})
    tx.session.add(person)
    tx.record("person.added", person, by=BY, at=NOW)
    return person


async def add_case(tx: Tx, number: int = 1) -> tuple[Case, Stage, Task]:
    """A case with one stage and one task."""
    sop = {"digest": new_id().ljust(64, "0"), "key": "phishing", "version": 1, "text": "sop: phishing"}
    await tx.session.execute(insert(SopDocument).values(sop))  # as if an earlier case had been bound to it
    case = Case(
        number=number,
        title="Odd mail",
        severity="low",
        sop_key=sop["key"],
        sop_version=sop["version"],
        sop_digest=sop["digest"],
        opened_at=NOW,
        opened_by=str(BY),
    )
    stage = Stage(case_id=case.id, key="look", title="Look", position=0)
    task = Task(case_id=case.id, stage_id=stage.id, key="read", title="Read", kind="manual", position=0)
    tx.session.add_all([task, stage, case])  # not in the order of their references
    tx.record("case.opened", case, by=BY, at=NOW)
    tx.record("stage.planned", stage, by=BY, at=NOW)
    tx.record("task.planned", task, by=BY, at=NOW)
    await tx.flush()
    return case, stage, task


async def unrestrained(tx: Tx) -> None:
    """Let this connection do what the program never does, so that the test can bring about a failure."""
    raw = await (await tx.session.connection()).get_raw_connection()
    await raw.driver_connection.set_authorizer(None)  # type: ignore[union-attr]
