"""What is late is noted, and whoever has to hear of it is told: by the ladders of tasks, by deadlines.

Everything that is due is in the tables, so it does not matter who looks and when: a run of this deployment, two at
once, or the relay because Prefect is away. Each step is a transaction of its own; one that a killed process had begun
is begun again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from prefect import flow

from case_store import breaches, deadlines, escalation, find, notices, on_call
from case_store.actor import Actor
from case_store.models import Case, Deadline, Person, Stage
from case_store.settings import Settings
from case_store.store import CaseStore, Tx
from flows import clock, names
from flows.keep_going import Trouble, each
from flows.resources import Resources, resources

log = logging.getLogger(__name__)

BY = Actor.system("escalation")
_BATCH = 200
_AT_ONCE = 4  # while one waits for the database, another is at work
Now = Callable[[], datetime]


WHAT = "What is late"


@dataclass(slots=True)
class Told:
    """What one go over everything that is late did; `stuck` are the ids of what could not be told."""

    steps: int = 0
    breaches: int = 0
    deadlines: int = 0
    stuck: set[str] = field(default_factory=set)

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


async def escalate_once(own: Resources, now: Now = clock.now, trouble: Trouble | None = None) -> Told:
    """Tell everything that has to be told by now."""
    return await tell_all(own.store, OnCall(own.settings), now, trouble)


class OnCall:
    """Who is on call, for one go: the calendar is fetched when a rung asks for it, and once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._roster: on_call.Roster | None = None
        self._asking = asyncio.Lock()

    async def roster(self, at: datetime) -> on_call.Roster:
        """Return the calendar. What is wrong with it is logged."""
        async with self._asking:  # several steps may want to know at once
            if self._roster is None:
                self._roster = await on_call.roster(self._settings, at)
                if self._roster.problem:
                    log.warning("Who is on call: %s", self._roster.problem)
            return self._roster


async def tell_all(store: CaseStore, ready: OnCall | on_call.Roster, now: Now, trouble: Trouble | None = None) -> Told:
    """Take every step that has come, batch by batch, until none is left.

    Args:
        store: The case store.
        ready: Who is on call, or how that is found out.
        now: The time.
        trouble: Says what goes wrong; whoever goes again and again passes the same.
    """
    trouble = trouble or Trouble(WHAT)
    steps = await each(
        lambda limit: due_steps(store, now, limit),
        lambda one: _climb(store, ready, one, now),
        trouble,
        batch=_BATCH,
        at_once=_AT_ONCE,
    )
    late = await each(lambda limit: _late(store, now, limit), lambda row: _mark(store, row, now), trouble)
    passed = await each(lambda limit: _passed(store, now, limit), lambda row: _pass_by(store, row, now), trouble)
    return Told(steps.number, late.number, passed.number, steps.stuck | late.stuck | passed.stuck)


async def anything_due(store: CaseStore, now: Now, but: Collection[str] = ()) -> bool:
    """Tell whether there is anything to tell, but for what is stuck."""
    most = len(but) + 1
    if any(one not in but for one in await due_steps(store, now, most)):
        return True
    rows = [*await _late(store, now, most), *await _passed(store, now, most)]
    return any(row.id not in but for row in rows)


async def due_steps(store: CaseStore, now: Now, limit: int = _BATCH) -> list[str]:
    """Return the tasks with a step of their ladder that has come."""
    async with store.reading() as tx:
        return await escalation.due(tx, now(), limit)


async def _climb(store: CaseStore, ready: OnCall | on_call.Roster, task_id: str, now: Now) -> bool:
    try:
        return await _climbed(store, None, task_id, now)
    except escalation.OnCallAsked:  # outside of the transaction: a URL may take its time, and a case is locked in it
        roster = await ready.roster(now()) if isinstance(ready, OnCall) else ready
        return await _climbed(store, roster, task_id, now)


async def _climbed(store: CaseStore, roster: on_call.Roster | None, task_id: str, now: Now) -> bool:
    async with store.transaction() as tx:
        at = now()
        people = await _on_call(tx, roster, at) if roster is not None else None
        task = await find.task(tx, task_id, lock=True)
        return await escalation.climb(tx, task, on_call=people, by=BY, at=at) is not None


async def _on_call(tx: Tx, roster: on_call.Roster, at: datetime) -> list[Person]:
    try:
        ready, _ = await on_call.people(tx, roster, at)
    except on_call.OnCallRefused as error:
        log.warning("Who is on call: %s", error.diagnostics())
        return []
    return ready


async def _late(store: CaseStore, now: Now, limit: int) -> list[Case | Stage]:
    async with store.reading() as tx:
        return await breaches.due(tx, now(), limit)


async def _mark(store: CaseStore, row: Case | Stage, now: Now) -> bool:
    async with store.transaction() as tx:
        return await breaches.mark(tx, row, by=BY, at=now())


async def _passed(store: CaseStore, now: Now, limit: int) -> list[Deadline]:
    async with store.reading() as tx:
        return await deadlines.due(tx, now(), limit)


async def _pass_by(store: CaseStore, row: Deadline, now: Now) -> bool:
    async with store.transaction() as tx:
        at = now()
        if await deadlines.pass_by(tx, row, by=BY, at=at) is None:
            return False
        case, row = await find.locked(tx, row)
        await notices.deadline(tx, row, await escalation.case_owners(tx, case), at)
        return True
