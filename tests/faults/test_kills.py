"""Processes that die at random moments: every case reaches its right end, nothing happens twice, nothing is lost.

The short edition runs with every `make test`; `make faults` runs the long one.
"""

import asyncio
import os
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from case_store import find, models, tasks
from case_store.actor import Actor
from case_store.lifecycle import ASKS_A_PERSON
from tests.site import Desk, desk_at, site_in, until

SEED = int(os.environ.get("CASEWRIGHT_TEST_SEED", "2026"))
VICTIMS = ("worker", "relay", "server")
UNFINISHED = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]


class Office:
    """People who answer every form they see, and remember what they answered."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.accepted: dict[tuple[str, int], str] = {}

    async def work(self) -> None:
        """Answer until cancelled."""
        while True:
            for question, task in await self._waiting():
                said = await self.desk.resume(question, **self._answer(task))
                if said.get("status") == "ACCEPT":
                    self.accepted[task.id, question.attempt] = task.key
            await asyncio.sleep(0.1)

    def _answer(self, task: models.Task) -> dict[str, object]:
        if task.state in {"failed", "unknown_outcome"}:
            return {"decision": "done", "signed_by": "ana", "note": "Looked: it happened.", "take_over": True}
        return {
            "judge": {"verdict": "bad", "note": "Seen.", "signed_by": "ana"},
            "approve-mark": {"decision": "approve", "signed_by": "mia"},
            "tell": {"decision": "done", "signed_by": "ben"},
            "polish": {"decision": "done", "signed_by": "ana"},
            "say": {"signed_by": "ana"},
        }[task.key]

    async def _waiting(self) -> list[tuple[models.Question, models.Task]]:
        wanted = (
            select(models.Question, models.Task)
            .join(models.Task, models.Task.id == models.Question.task_id)
            .where(models.Question.closed_at.is_(None), models.Task.state.in_(ASKS_A_PERSON))
        )
        async with self.desk.store.reading() as tx:
            rows = [(question, task) for question, task in await tx.session.execute(wanted)]
        return [(one, task) for one, task in rows if (task.id, one.attempt) not in self.accepted]


async def _storm(desk: Desk, *, kills: int, seed: int) -> Counter[str]:
    """Kill a process at a random moment, start it again, and so on."""
    chance, killed = random.Random(seed), Counter[str]()
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0.2, 2.0))
        victim = chance.choices(VICTIMS, weights=(5, 3, 2))[0]
        await asyncio.to_thread(desk.site.kill, victim)
        killed[victim] += 1
        await asyncio.to_thread(desk.site.start, victim)
    return killed


async def _all_closed(desk: Desk, numbers: list[int]) -> bool:
    async with desk.store.reading() as tx:
        wanted = select(models.Case.number).where(models.Case.state == "open", models.Case.number.in_(numbers))
        return not (await tx.session.scalars(wanted)).all()


async def _unfinished(desk: Desk) -> list[str]:
    found = await desk.runs(tags={"all_": ["casewright"]}, state={"type": {"any_": UNFINISHED}})
    return [f"{run['name']}: {run['state']['name']}" for run in found]


@pytest.mark.parametrize(
    ("count", "kills"), [(4, 5), pytest.param(30, 60, marks=pytest.mark.slow)], ids=["short", "long"]
)
async def test_kills_at_random_moments_lose_nothing_and_repeat_nothing(tmp_path: Path, count: int, kills: int) -> None:
    with site_in(tmp_path, "worker", "relay") as site:
        async with desk_at(site) as desk:
            office = Office(desk)
            site.effects.with_name("released").touch()
            numbers = [(await desk.open("once" if n % 3 == 0 else "short")).number for n in range(count)]
            working = asyncio.create_task(office.work())
            killed = await _storm(desk, kills=kills, seed=SEED)
            await asyncio.to_thread(site.run, "sweep")
            await until(lambda: _all_closed(desk, numbers), within=240)
            working.cancel()

            assert sum(killed.values()) == kills
            await _check(desk, numbers, office)
            await until(lambda: _nothing_unfinished(desk), within=30, every=1.0)


async def _nothing_unfinished(desk: Desk) -> bool:
    """Sweep once, then say whether every run has ended."""
    await asyncio.to_thread(desk.site.run, "sweep")
    return not await _unfinished(desk)


async def _check(desk: Desk, numbers: list[int], office: Office) -> None:
    effects = Counter(desk.site.effects.read_text().splitlines())
    async with desk.store.reading() as tx:
        for number in numbers:
            case = await find.case(tx, number)
            assert case.resolution == "completed", case.number
            found = (await tx.session.scalars(select(models.Task).where(models.Task.case_id == case.id))).all()
            for task in found:
                assert task.state in {"done", "not_applicable"}, (number, task.key, task.state)
                if task.key == "shoot":
                    assert effects[f"once {task.id}"] <= 1, f"CASE-{number}: took effect twice"
        decided = set(await tx.session.scalars(select(models.Task.id).where(models.Task.signed_by.is_not(None))))
    lost = {task_id for task_id, _ in office.accepted} - decided
    assert not lost, f"answers that the server took and nobody recorded: {lost}"
    for number in numbers:
        closing = [event for event in await desk.events(number) if event["type"] in {"task.completed", "task.approved"}]
        entities = [event["entity"]["id"] for event in closing]
        assert len(entities) == len(set(entities)), f"CASE-{number}: a decision counts twice"


async def test_a_non_idempotent_action_that_died_is_not_repeated_but_asked_about(tmp_path: Path) -> None:
    with site_in(tmp_path, "serve") as site:
        async with desk_at(site) as desk:
            case = await desk.open("once")
            shoot = await desk.becomes(case.number, "shoot", "running")
            await until(lambda: _has_taken_effect(desk, shoot.id))
            await asyncio.to_thread(site.kill, "serve")
            await asyncio.to_thread(site.start, "serve")
            question = await desk.question(case.number, "shoot", within=90)
            assert (await desk.task(case.number, "shoot")).state == "unknown_outcome"
            assert "may or may not have taken effect" in await desk.description(question)
            await desk.answer(
                case.number, "shoot", decision="done", note="It happened.", signed_by="ana", take_over=True
            )
            await desk.answer(case.number, "say", signed_by="ana")
            await desk.ends(case.number)
            assert site.effects.read_text().splitlines() == [f"once {shoot.id}"]


async def _has_taken_effect(desk: Desk, task_id: str) -> bool:
    effects = desk.site.effects
    return effects.exists() and f"once {task_id}" in effects.read_text()


async def test_a_question_that_was_begun_and_then_ended_as_nobodys_is_asked_anew(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        async with desk_at(site) as desk:
            case = await desk.open("pair")
            task = await desk.task(case.number, "first")
            manual = (await desk._request("GET", "/deployments/name/manual-task/manual-task")).json()["id"]
            begun = {
                "parameters": {"task_id": task.id, "attempt": 1},
                "idempotency_key": f"question:{task.id}:1",
                "state": {"type": "CRASHED", "message": "It belongs to no case any more."},
            }
            nobodys = (await desk._request("POST", f"/deployments/{manual}/create_flow_run", json=begun)).json()["id"]
            await asyncio.to_thread(site.start, "serve")
            asked = await desk.answer(case.number, "first", signed_by="ana")
            assert asked.flow_run_id != nobodys
            await desk.becomes(case.number, "first", "done")


async def test_when_prefects_database_is_lost_every_case_waits_again_and_decisions_count(tmp_path: Path) -> None:
    with site_in(tmp_path, "serve") as site:
        async with desk_at(site) as desk:
            numbers = [(await desk.open("short")).number for _ in range(5)]
            for number in numbers:
                await desk.question(number, "judge")
            await asyncio.to_thread(site.kill, "server")
            for file in (site.folder / "prefect").glob("prefect.db*"):
                file.unlink()
            await _decide_meanwhile(desk, numbers[0])
            await asyncio.to_thread(site.start, "server")
            await asyncio.to_thread(site.deploy)
            await asyncio.to_thread(site.run, "sweep")

            await desk.question(numbers[0], "approve-mark")
            for number in numbers[1:]:
                await desk.answer(number, "judge", attempt=2, verdict="good", note="Again.", signed_by="ana")
                await desk.ends(number)
            await desk.answer(numbers[0], "approve-mark", decision="reject", signed_by="mia")
            await desk.answer(numbers[0], "tell", decision="done", signed_by="ben")
            await desk.answer(numbers[0], "polish", decision="done", signed_by="ana")
            await desk.ends(numbers[0])
            judged = [await desk.task(number, "judge") for number in numbers]
            assert [one.decided_via for one in judged] == ["command line", *["Prefect UI"] * 4]


async def _decide_meanwhile(desk: Desk, number: int) -> None:
    async with desk.store.transaction() as tx:
        task = await find.task_of(tx, await find.case(tx, number), "judge")
        person = await find.person(tx, "ana")
        await tasks.complete(
            tx,
            task,
            form_values={"verdict": "bad"},
            note="While Prefect was away.",
            signed_by=person,
            via="command line",
            by=Actor.person(person),
            at=datetime.now(UTC),
        )
