"""Runs ninety simulated days on a case store, and compares what was told with the model."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from sqlalchemy import select

from case_store import cases, find, on_call, pausing, sla, sops, tasks
from case_store.models import AuditEvent, Case, OutboxEntry, Severity, Task
from case_store.outbox import Policy
from case_store.store import CaseStore
from flows import escalation
from sop.calendars import calendars_in
from sop.loader import loads
from tests.mailroom import Mailroom
from tests.store import simulated, world
from tests.store.simulated import DAYS, START, Plan
from tests.store.world import ENGINE, SYSTEM

Told = dict[str, list[tuple[float, int, tuple[int, ...]]]]
OUTAGE = (43 * 24 * 60.0, 44 * 24 * 60.0)
"""A day, in minutes from START, on which nobody looks: 29 February."""
QUOTA = Policy({"email": 3, "sms": 1})
"""Low enough to be reached."""


@dataclass
class Simulation:
    """What is to happen, by minutes from START; messages leave by the mailroom."""

    store: CaseStore
    random: Random
    plans: dict[str, list[Plan]]
    room: Mailroom

    async def run(self) -> tuple[Told, Told]:
        """Live through the days; what was told, and what should have been."""
        ids = {}
        for name, severity in (("office", "low"), ("night", "low"), ("office", "critical")):
            ids[name, severity] = await self._case(name, severity, self.plans[f"{name} {severity}"])
        expected, moments = {}, set()
        for (name, severity), case in ids.items():
            work = simulated.working_minutes(name, critical=severity == "critical")
            for plan in self.plans[f"{name} {severity}"]:
                steps = simulated.moments(plan, work)
                expected[f"{case.number}/{plan.key}"] = steps
                moments |= {minute for minute, *_ in steps}
        looks = self._looks(moments)
        await self._live(ids, looks)
        should = {key: simulated.told(steps, looks) for key, steps in expected.items()}
        return await self._told(), {key: steps for key, steps in should.items() if steps}

    def _looks(self, moments: set[int]) -> list[float]:
        """Look a second before each moment and within half a minute after it, and at some others; not in the outage."""
        near = {moment - 1 / 60 for moment in moments} | {moment + self.random.randrange(30) / 60 for moment in moments}
        others = {self.random.uniform(0, DAYS * 24 * 60) for _ in range(100)}
        looks = [look for look in near | others if not OUTAGE[0] <= look < OUTAGE[1]]
        return sorted({*looks, OUTAGE[1], (DAYS + 30) * 24 * 60.0})

    async def _case(self, name: str, severity: Severity, plans: list[Plan]) -> Case:
        text = simulated.SOP.format(name=name)
        for number, first in enumerate(range(0, len(plans), 200)):
            text += f"  - key: s{number}\n    title: S\n    tasks:\n"
            for plan in plans[first : first + 200]:
                text += f'      - {{key: {plan.key}, title: T, owner: "user:ada", sla: {plan.sla}m}}\n'
        async with self.store.transaction() as tx:
            return await cases.open_case(tx, loads(text), "Simulated", severity, by=SYSTEM, at=START)

    async def _live(self, ids: dict[tuple[str, str], Case], looks: list[float]) -> None:
        happens: list[tuple[float, str, Case, Plan]] = []
        for (name, severity), case in ids.items():
            for plan in self.plans[f"{name} {severity}"]:
                paused, resumed = plan.paused or (None, None)
                all_of_it = {"pause": paused, "resume": resumed, "acknowledge": plan.acknowledged}
                here = {what: at for what, at in all_of_it.items() if at is not None and at < plan.closed}
                for what, at in {"open": plan.opened, **here, "close": plan.closed}.items():
                    happens.append((at, what, case, plan))
        order = {"open": 0, "pause": 1, "resume": 2, "acknowledge": 3, "close": 4}
        events = sorted(happens, key=lambda one: (one[0], order[one[1]]))
        for look in looks:
            while events and events[0][0] <= look:
                minute, what, case, plan = events.pop(0)
                await self._happen(what, case, plan, _at(minute))
            await escalation.tell_all(self.store, on_call.Roster(), partial(_at, look))
            await self.room.send(_at(look))

    async def _happen(self, what: str, case: Case, plan: Plan, at: datetime) -> None:
        async with self.store.transaction() as tx:
            task = await find.task_of(tx, case, plan.key)
            ada = await find.person(tx, "ada")
            if what == "open":
                sop = (await sops.pinned(tx, case)).sop
                due_at = sla.due(tx, case, sop, sop.task(plan.key).sla, at)
                await tasks.ask(tx, task, parameters=None, due_at=due_at, by=ENGINE, at=at)
            elif what == "close":
                await tasks.skip(tx, task, "over", signed_by=ada, via="cli", by=ENGINE, at=at)
            elif what == "acknowledge":
                await tasks.acknowledge(tx, task, ada, via="cli", by=ENGINE, at=at)
            elif what == "pause":
                await pausing.pause_task(tx, task, "waits", by=ENGINE, at=at)
            else:
                await pausing.resume_task(tx, task, by=ENGINE, at=at)

    async def _told(self) -> Told:
        async with self.store.reading() as tx:
            rows = await tx.session.execute(select(Task.id, Task.key, Case.number).join(Case, Case.id == Task.case_id))
            names = {task_id: f"{number}/{key}" for task_id, key, number in rows}
            wanted = select(AuditEvent).where(AuditEvent.type.in_(("task.warned", "task.escalated")))
            found: Told = {}
            for event in await tx.session.scalars(wanted.order_by(AuditEvent.id)):
                facts = json.loads(event.body)["facts"]
                minute = (event.ts - START) / timedelta(minutes=1)
                found.setdefault(names[event.entity_id or ""], []).append(
                    (minute, facts["rung"], tuple(facts["missed"]))
                )
            keys = list(await tx.session.scalars(select(OutboxEntry.dedup_key)))
            assert max(Counter(keys).values()) == 1
        return found


def _at(minute: float) -> datetime:
    return START + timedelta(seconds=round(minute * 60))


async def ninety_days(url: str, folder: Path, seed: int, number: int) -> tuple[Told, Told, Mailroom]:
    """What was told in ninety days, and what should have been, times to the second; and what left meanwhile."""
    (folder / "calendars.yaml").write_text(simulated.CALENDARS)
    calendars, problems = calendars_in([folder])
    assert not problems
    store, random = CaseStore(url, folder, calendars), Random(seed)
    async with store.transaction() as tx:
        people = await world.people(tx)
        people["ada"].manager_id = people["mia"].id
        tx.record("person.changed", people["ada"], by=SYSTEM, at=START)
    names = ("office low", "night low", "office critical")
    room = Mailroom(store, QUOTA)
    try:
        plans = {name: simulated.plans(random, number) for name in names}
        told, expected = await Simulation(store, random, plans, room).run()
        await room.send_all(_at(DAYS * 24 * 60))
    finally:
        await store.close()
    return _rounded(told), _rounded(expected), room


def _rounded(told: Told) -> Told:
    return {key: [(round(minute * 60), *rest) for minute, *rest in steps] for key, steps in sorted(told.items())}  # type: ignore[misc]
