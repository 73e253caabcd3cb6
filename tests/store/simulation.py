"""Runs ninety simulated days on a case store, and compares what was told with the model."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from sqlalchemy import select

from case_store import absence, cases, find, on_call, pausing, sla, sops, tasks
from case_store.models import AuditEvent, Case, OutboxEntry, Person, Task
from case_store.outbox import Policy
from case_store.store import CaseStore, Tx
from flows import escalation
from sop.calendars import calendars_in
from sop.loader import loads
from tests.mailroom import Mailroom
from tests.store import simulated, simulated_people, world
from tests.store.simulated import DAY, DAYS, ORDER, CasePlan, Happens, Period, Plan
from tests.store.simulated_people import Away, Told
from tests.store.world import ENGINE, SYSTEM

Of = dict[str, list[Told]]
"""What is told of each task, `number/key`."""
QUOTA = Policy({"email": 3, "sms": 1})
"""Low enough to be reached."""


@dataclass
class Simulation:
    """What is to happen, by minutes from the start of the period; messages leave by the mailroom."""

    store: CaseStore
    period: Period
    random: Random
    plans: list[CasePlan]
    out: list[Away]
    room: Mailroom
    heard: dict[tuple[str, datetime], set[str]] = field(default_factory=lambda: defaultdict(set))

    async def run(self) -> tuple[Of, Of]:
        """Live through the days; what was told, and what should have been."""
        opened = [(await self._case(plan), plan) for plan in self.plans]
        work = {
            name: {
                critical: simulated.working_minutes(self.period, name, critical=critical) for critical in (False, True)
            }
            for name in ("office", "night")
        }
        expected = {
            f"{case.number}/{plan.key}": simulated.moments(plan, of_case, work[of_case.name])
            for case, of_case in opened
            for plan in of_case.plans
        }
        moments = {step.at for steps in expected.values() for step in steps if not self._is_outage(step.at)}
        looks = self._looks(moments)
        await self._live(opened, looks)
        should = {key: simulated_people.told(steps, looks, self.period, self.out) for key, steps in expected.items()}
        return await self._told(), {key: steps for key, steps in sorted(should.items()) if steps}

    def _is_outage(self, minute: float) -> bool:
        begin, end = self.period.without
        return begin <= minute < end

    def _looks(self, moments: set[int]) -> list[float]:
        """Look a second before each moment and within half a minute after it, and at some others; not in the outage."""
        near = {moment - 1 / 60 for moment in moments} | {moment + self.random.randrange(30) / 60 for moment in moments}
        others = {self.random.uniform(0, DAYS * DAY) for _ in range(100)}
        looks = [look for look in near | others if not self._is_outage(look)]
        return sorted({*looks, float(self.period.without[1]), (DAYS + 29) * DAY + 0.0})

    async def _case(self, plan: CasePlan) -> Case:
        text = simulated.SOP.format(name=plan.name)
        for number, first in enumerate(range(0, len(plan.plans), 200)):
            text += f"  - key: s{number}\n    title: S\n    tasks:\n"
            for one in plan.plans[first : first + 200]:
                times = f"{{critical: {one.critical}m, otherwise: {one.sla}m}}"
                text += f'      - {{key: {one.key}, title: T, owner: "user:ada", sla: {times}}}\n'
        async with self.store.transaction() as tx:
            return await cases.open_case(tx, loads(text), "Simulated", plan.severity, by=SYSTEM, at=self.period.start)

    async def _live(self, opened: list[tuple[Case, CasePlan]], looks: list[float]) -> None:
        happens: list[tuple[Happens, Case | None, Plan | None]] = []
        for away in self.out:
            happens += [((away.start, "away", away.who), None, None), ((away.end, "back", away.who), None, None)]
        for case, of_case in opened:
            happens += [(change, case, None) for change in of_case.changes]
            for plan in of_case.plans:
                its = [(plan.opened, "open", ""), *plan.happens, (plan.closed, "close", "")]
                happens += [(one, case, plan) for one in its]
        happens.sort(key=lambda one: (one[0][0], ORDER.index(one[0][1])))
        ready = _Ready(on_call.read(simulated_people.roster(self.period).encode(), "simulated", self.period.start))
        coming = iter(happens)
        one = next(coming, None)
        for look in looks:
            while one is not None and one[0][0] <= look:
                async with self.store.transaction() as tx:
                    await self._happen(tx, *one)
                one = next(coming, None)
            await escalation.tell_all(self.store, ready.roster, partial(self._at, look))
            await self._hear(self._at(look))
            await self.room.send(self._at(look))

    async def _happen(self, tx: Tx, one: Happens, case: Case | None, plan: Plan | None) -> None:
        minute, what, who = one
        at = self._at(minute)
        if case is None:
            await self._absence(tx, minute, what, who)
        elif plan is None:
            await cases.set_severity(tx, await find.case(tx, case.id), who, by=ENGINE, at=at)  # type: ignore[arg-type]
        else:
            await _happen_to(tx, await find.task_of(tx, case, plan.key), what, who, at)

    async def _absence(self, tx: Tx, minute: int, what: str, who: str) -> None:
        person, at = await find.person(tx, who), self._at(minute)
        if what == "back":
            await absence.set_back(tx, person, by=ENGINE, at=at)
            return
        away = next(one for one in self.out if (one.who, one.start) == (who, minute))
        deputy = await find.person(tx, away.deputy) if away.deputy else None
        until = self._at(away.end)
        await absence.set_away(tx, person, start=at, until=until, deputy=deputy, by=ENGINE, at=at)

    def _at(self, minute: float) -> datetime:
        return self.period.start + timedelta(seconds=round(minute * 60))

    async def _hear(self, at: datetime) -> None:
        """Note who is promised a message at this moment; what becomes of the promise is the mailroom's."""
        wanted = select(OutboxEntry.task_id, Person.handle).join(Person, Person.id == OutboxEntry.recipient_id)
        new = OutboxEntry.template.in_(("warning", "escalated")), OutboxEntry.next_at == at, OutboxEntry.attempts == 0
        async with self.store.reading() as tx:
            for task_id, handle in await tx.session.execute(wanted.where(*new, OutboxEntry.instead_of.is_(None))):
                self.heard[str(task_id), at].add(handle)

    async def _told(self) -> Of:
        async with self.store.reading() as tx:
            handles = dict((await tx.session.execute(select(Person.id, Person.handle))).all())
            rows = await tx.session.execute(select(Task.id, Task.key, Case.number).join(Case, Case.id == Task.case_id))
            names = {task_id: f"{number}/{key}" for task_id, key, number in rows}
            keys = list(await tx.session.scalars(select(OutboxEntry.dedup_key)))
            assert len(set(keys)) == len(keys)
            wanted = select(AuditEvent).where(AuditEvent.type.in_(("task.warned", "task.escalated")))
            found: Of = {}
            for event in await tx.session.scalars(wanted.order_by(AuditEvent.id)):
                task_id, facts = str(event.entity_id), json.loads(event.body)["facts"]
                second = round((event.ts - self.period.start) / timedelta(seconds=1))
                to, hears = [handles[one] for one in facts["told"]], self.heard[task_id, event.ts]
                step = Told(second, facts["rung"], tuple(facts["missed"]), _only(to), _only(hears))
                found.setdefault(names[task_id], []).append(step)
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class _Ready:
    roster: on_call.Roster


def _only(names: list[str] | set[str]) -> str | None:
    return ", ".join(sorted(names)) or None


async def _happen_to(tx: Tx, task: Task, what: str, who: str, at: datetime) -> None:
    case = await find.case(tx, task.case_id)
    if what == "open":
        sop = (await sops.pinned(tx, case)).sop
        due_at = sla.due(tx, case, sop, sop.task(task.key).sla, at)
        await tasks.ask(tx, task, parameters=None, due_at=due_at, by=ENGINE, at=at)
    elif what == "close":
        signer = await find.person(tx, "ada")
        await tasks.skip(tx, task, "over", signed_by=signer, via="cli", take_over=True, by=ENGINE, at=at)
    elif what == "acknowledge":
        owner = await tx.session.get_one(Person, task.owner_id)
        await tasks.acknowledge(tx, task, owner, via="cli", by=ENGINE, at=at)
    elif what == "hand over":
        await tasks.reassign(tx, task, await find.person(tx, who), by=ENGINE, at=at)
    elif what == "pause":
        await pausing.pause_task(tx, task, "waits", by=ENGINE, at=at)
    else:
        await pausing.resume_task(tx, task, by=ENGINE, at=at)


async def ninety_days(
    url: str, folder: Path, period: Period, seed: int, number: int, in_outage: int = 0
) -> tuple[Of, Of, Mailroom]:
    """What was told in ninety days, and what should have been, times to the second; and what left meanwhile.

    Args:
        url: A migrated database.
        folder: Where the calendars are written.
        period: Which ninety days.
        seed: What happens is the same for the same seed.
        number: How many tasks each of the three cases has.
        in_outage: How many tasks more get late on the day on which nobody looks.
    """
    (folder / "calendars.yaml").write_text(simulated.CALENDARS)
    calendars, problems = calendars_in([folder])
    assert not problems
    store, random = CaseStore(url, folder, calendars), Random(seed)
    async with store.transaction() as tx:
        people = await world.people(tx)
        for handle in ("ada", "bob", "max"):
            people[handle].manager_id = people["mia"].id
            tx.record("person.changed", people[handle], by=SYSTEM, at=period.start)
            await tx.flush()
    plans = simulated.case_plans(random, period, number, in_outage)
    room = Mailroom(store, QUOTA)
    try:
        told, expected = await Simulation(store, period, random, plans, simulated_people.absences(random), room).run()
        await room.send_all(period.start + timedelta(days=DAYS + 30))
    finally:
        await store.close()
    return told, expected, room
