"""What is late is noted, and whoever has to hear of it is told: by the ladders of tasks, by deadlines.

Everything that is due is in the tables, so it does not matter who looks and when: a run of this deployment, two at
once, or the relay because Prefect is away. Each step is a transaction of its own; one that a killed process had begun
is begun again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from prefect import flow

from case_store import breaches, deadlines, escalation, find, notices, on_call
from case_store.actor import Actor
from case_store.errors import StoreError
from case_store.models import Case, Deadline, Person, Stage
from case_store.store import CaseStore, Tx
from flows import clock, names
from flows.resources import Resources, resources

log = logging.getLogger(__name__)

BY = Actor.system("escalation")
_BATCH = 200
Now = Callable[[], datetime]
Late = TypeVar("Late")


@dataclass(slots=True)
class Told:
    """What one go over everything that is late did."""

    steps: int = 0
    breaches: int = 0
    deadlines: int = 0

    def __str__(self) -> str:
        return f"steps of ladders: {self.steps}; stages and cases overdue: {self.breaches}; deadlines: {self.deadlines}"


@flow(
    name=names.ESCALATION,
    description="Tells who has to be told of what is late.",
    persist_result=False,
)
async def escalate() -> str:
    """Tell everything that has to be told by now."""
    async with resources() as own:
        return str(await escalate_once(own))


async def escalate_once(own: Resources, now: Now = clock.now) -> Told:
    """Tell everything that has to be told by now."""
    roster = await on_call.roster(own.settings, now())
    if roster.problem:
        log.warning("Who is on call: %s", roster.problem)
    return await tell_all(own.store, roster, now)


async def tell_all(store: CaseStore, roster: on_call.Roster, now: Now) -> Told:
    """Take every step that has come, batch by batch, until none is left."""
    told = Told()
    told.steps = await _each(lambda: due_steps(store, now), lambda one: _climb(store, roster, one, now))
    told.breaches = await _each(lambda: _late(store, now), lambda row: _mark(store, row, now))
    told.deadlines = await _each(lambda: _passed(store, now), lambda row: _pass_by(store, row, now))
    return told


async def anything_due(store: CaseStore, now: Now) -> bool:
    """Tell whether there is anything to tell."""
    return bool(await due_steps(store, now, 1) or await _late(store, now) or await _passed(store, now))


async def due_steps(store: CaseStore, now: Now, limit: int = _BATCH) -> list[str]:
    """Return the tasks with a step of their ladder that has come."""
    async with store.reading() as tx:
        return await escalation.due(tx, now(), limit)


async def _climb(store: CaseStore, roster: on_call.Roster, task_id: str, now: Now) -> bool:
    async with store.transaction() as tx:
        at = now()
        ready = await _on_call(tx, roster, at)
        return await escalation.climb(tx, await find.task(tx, task_id), on_call=ready, by=BY, at=at) is not None


async def _on_call(tx: Tx, roster: on_call.Roster, at: datetime) -> list[Person]:
    try:
        ready, _ = await on_call.people(tx, roster, at)
    except on_call.OnCallRefused as error:
        log.warning("Who is on call: %s", error)
        return []
    return ready


async def _late(store: CaseStore, now: Now) -> list[Case | Stage]:
    async with store.reading() as tx:
        return await breaches.due(tx, now())


async def _mark(store: CaseStore, row: Case | Stage, now: Now) -> bool:
    async with store.transaction() as tx:
        return await breaches.mark(tx, row, by=BY, at=now())


async def _passed(store: CaseStore, now: Now) -> list[Deadline]:
    async with store.reading() as tx:
        return await deadlines.due(tx, now())


async def _pass_by(store: CaseStore, row: Deadline, now: Now) -> bool:
    async with store.transaction() as tx:
        at = now()
        if await deadlines.pass_by(tx, row, by=BY, at=at) is None:
            return False
        case, row = await find.locked(tx, row)
        await notices.deadline(tx, row, await escalation.case_owners(tx, case), at)
        return True


async def _each(due: Callable[[], Awaitable[Sequence[Late]]], handle: Callable[[Late], Awaitable[bool]]) -> int:
    done = 0
    while batch := await due():
        took = [await _carefully(handle, one) for one in batch]
        done += sum(took)
        if not any(took):  # another run took them all, or none can be taken: do not ask for the same again
            break
    return done


async def _carefully(handle: Callable[[Late], Awaitable[bool]], one: Late) -> bool:
    """Take one step; a step that cannot be taken keeps nobody else waiting."""
    try:
        return await handle(one)
    except StoreError as error:
        log.warning("Something that is late has to wait: %s", error)
        return False
