"""A decision counts once, whoever repeats it and from wherever: on both databases, at the same moment."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from case_store import audit, cases, observables, signals, tasks
from case_store.actor import Actor
from case_store.models import Task
from case_store.refusals import AlreadyDecided
from case_store.store import CaseStore, Tx
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, SYSTEM, World

Decide = Callable[[Tx, Task], Awaitable[object]]


async def at_once(store: CaseStore, drill: World, key: str, *decisions: Decide) -> list[object]:
    """Make several decisions about a task, each of which has read the task while it was open.

    On PostgreSQL they have read it in the very transaction in which they decide. SQLite begins the second transaction
    when the first is over, so there they have read it before.
    """
    everybody_has_read = asyncio.Barrier(len(decisions))

    async def in_one_transaction(decide: Decide) -> object:
        async with store.transaction() as tx:
            seen = await world.task(tx, drill, key)
            await everybody_has_read.wait()
            return await decide(tx, seen)

    async def in_two(decide: Decide) -> object:
        async with store.reading() as tx:
            seen = await world.task(tx, drill, key)
        await everybody_has_read.wait()
        async with store.transaction() as tx:
            return await decide(tx, seen)

    one = in_two if store.url.drivername.startswith("sqlite") else in_one_transaction
    return await asyncio.gather(*(one(decide) for decide in decisions), return_exceptions=True)


async def ask(store: CaseStore, drill: World, key: str) -> None:
    async with store.transaction() as tx:
        await tasks.ask(tx, await world.task(tx, drill, key), parameters={}, due_at=None, by=ENGINE, at=NOW)


def by(drill: World, handle: str, via: str) -> dict[str, object]:
    return {"signed_by": drill[handle], "via": via, "by": Actor.person(drill[handle]), "at": LATER}


async def types(store: CaseStore, drill: World) -> Counter[str]:
    async with store.reading() as tx:
        return Counter(event.type for event in await audit.tail(tx, 0, drill.case, limit=1000))


async def test_two_people_through_two_channels_decide_once(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "report")
    results = await at_once(
        store,
        drill,
        "report",
        lambda tx, task: tasks.complete(tx, task, form_values={}, note=None, **by(drill, "ada", "prefect")),
        lambda tx, task: tasks.complete(
            tx, task, form_values={}, note="Mine!", take_over=True, **by(drill, "bob", "cli")
        ),
    )
    (winner,) = [result for result in results if isinstance(result, Task)]
    (loser,) = [result for result in results if isinstance(result, AlreadyDecided)]
    assert (loser.who, loser.when, loser.via) == (winner.signed_by, LATER, winner.decided_via)
    happened = await types(store, drill)
    assert happened["task.completed"] == 1
    assert happened["task.taken_over"] == happened["note.added"] == (1 if winner.signed_by == "bob" else 0)
    async with store.reading() as tx:
        assert (await signals.run_of(tx, drill.case.id)).generation == 2


async def test_many_clicks_on_the_same_approval_are_one(store: CaseStore):
    drill = await world.build(store)
    await ask(store, drill, "block")

    def clicks(verb: Callable[..., Awaitable[object]], handle: str) -> Decide:
        return lambda tx, task: verb(tx, task, take_over=True, **by(drill, handle, "cli"))

    decisions = [clicks(tasks.approve, "mia"), clicks(tasks.reject, "max"), clicks(tasks.approve, "max")] * 6
    results = await at_once(store, drill, "block", *decisions)
    assert sum(isinstance(result, Task) for result in results) == 1
    assert sum(isinstance(result, AlreadyDecided) for result in results) == 17
    happened = await types(store, drill)
    assert happened["task.approved"] + happened["task.rejected"] == 1


@pytest.mark.parametrize("ending", [cases.cancel, cases.close])
async def test_a_decision_while_the_case_ends(store: CaseStore, ending):
    """Either the decision came first and stays, or the case ended first and the decision is told so; never both."""
    drill = await world.build(store)
    await ask(store, drill, "report")
    async with store.transaction() as tx:
        report = await world.task(tx, drill, "report")
        await tasks.complete(tx, report, form_values={}, note=None, **by(drill, "ada", "cli"))
    await ask(store, drill, "confirm")
    results = await at_once(
        store,
        drill,
        "confirm",
        lambda tx, task: tasks.skip(tx, task, "no", **by(drill, "ada", "cli")),
        lambda tx, _: ending(tx, drill.case, "over", by=SYSTEM, at=LATER),
    )
    happened = await types(store, drill)
    async with store.reading() as tx:
        state = (await world.task(tx, drill, "confirm")).state
    assert state == ("skipped" if isinstance(results[0], Task) else "cancelled")
    assert happened["task.skipped"] == (1 if state == "skipped" else 0)
    assert isinstance(results[0], Task | AlreadyDecided)
    assert not isinstance(results[1], BaseException)


async def test_conditions_are_decided_once(store: CaseStore):
    drill = await world.build(store)
    await at_once(
        store,
        drill,
        "tidy",
        lambda tx, task: tasks.decide_condition(tx, task, met=True, facts={}, by=ENGINE, at=NOW),
        lambda tx, task: tasks.decide_condition(tx, task, met=False, facts={}, by=ENGINE, at=NOW),
    )
    happened = await types(store, drill)
    assert happened["task.condition_met"] + happened["task.not_applicable"] == 1


async def test_two_actions_find_the_same_observable(store: CaseStore):
    drill = await world.build(store)

    def found(*values: str) -> Decide:
        return lambda tx, _: observables.add(tx, drill.case, [("ip", one) for one in values], by=ENGINE, at=NOW)

    results = await at_once(store, drill, "extract", found("1.1.1.1", "2.2.2.2"), found("2.2.2.2", "3.3.3.3"))
    assert sorted(results) == [1, 2]  # type: ignore[type-var]
    assert (await types(store, drill))["observable.added"] == 3
