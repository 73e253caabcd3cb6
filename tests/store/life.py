"""Somebody who does anything at all to a case: random verbs, from a seed."""

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy import select

from case_store import cases, evidence, find, notes, observables, privacy, stages, tasks
from case_store.actor import Actor
from case_store.blobs import Blobs
from case_store.errors import StoreError
from case_store.models import Note, Task
from case_store.store import CaseStore, Tx
from tests.store import world
from tests.store.world import ENGINE, NOW, World

KEYS = ("extract", "confirm", "look-around", "report", "block", "sign-off", "tidy")


class Life:
    """Somebody who does anything at all to a case, as far as the case store lets them."""

    def __init__(self, store: CaseStore, drill: World, seed: int) -> None:
        self.store, self.drill, self.chance = store, drill, random.Random(seed)
        self.done = 0

    async def step(self, number: int, also: Callable[[Tx], Awaitable[None]] | None = None) -> None:
        """Try one verb; a refusal must change nothing, like everything else that is not done.

        `also` is done in the same transaction.
        """
        verb = self.chance.choice(self.verbs)
        try:
            async with self.store.transaction() as tx:
                await verb(self, tx, NOW + timedelta(seconds=number))
                if also:
                    await also(tx)
        except StoreError:
            return
        self.done += 1

    async def _task(self, tx: Tx) -> Task:
        return await world.task(tx, self.drill, self.chance.choice(KEYS))

    def _signed(self, at: object) -> dict[str, object]:
        person = self.drill[self.chance.choice(("ada", "bob", "mia", "max", "eve"))]
        over = self.chance.random() < 0.5
        return {"signed_by": person, "take_over": over, "via": "cli", "by": Actor.person(person), "at": at}

    async def ask(self, tx: Tx, at: object) -> None:
        await tasks.ask(tx, await self._task(tx), parameters={"url": "x", "n": 1.5}, due_at=at, by=ENGINE, at=at)

    async def decide(self, tx: Tx, at: object) -> None:
        signed, task = self._signed(at), await self._task(tx)
        values = {"verdict": "phishing", "hosts": 2.5} if task.key == "confirm" else {}
        await self.chance.choice(
            (
                lambda: tasks.complete(tx, task, form_values=values, note="Seen \u00e9.", **signed),
                lambda: tasks.approve(tx, task, **signed),
                lambda: tasks.reject(tx, task, note="No.", **signed),
                lambda: tasks.skip(tx, task, "Not needed.", **signed),
                lambda: tasks.retry(tx, task, **signed),
            )
        )()

    async def move(self, tx: Tx, at: object) -> None:
        await tasks.reassign(tx, await self._task(tx), self.drill.eve, by=ENGINE, at=at)

    async def condition(self, tx: Tx, at: object) -> None:
        met = self.chance.random() < 0.7
        await tasks.decide_condition(tx, await self._task(tx), met, {"condition": "x"}, by=ENGINE, at=at)

    async def stage(self, tx: Tx, at: object) -> None:
        stage = await find.stage_of(
            tx, await find.case(tx, self.drill.case.id), self.chance.choice(("analyse", "contain"))
        )
        await self.chance.choice(
            (
                lambda: stages.decide_condition(tx, stage, True, {}, by=ENGINE, at=at),
                lambda: stages.activate(tx, stage, due_at=at, by=ENGINE, at=at),
                lambda: stages.finish(tx, stage, by=ENGINE, at=at),
            )
        )()

    async def run(self, tx: Tx, at: object) -> None:
        task = await world.task(tx, self.drill, "extract")
        run = await tasks.start_action(tx, task, run_id="r", code_version="1", inputs={"a": [1]}, by=ENGINE, at=at)
        outcome = self.chance.choice(("succeeded", "failed", "unknown"))
        again = self.chance.random() < 0.5
        await tasks.finish_action(tx, run, outcome=outcome, output={"n": 2}, error="why", again=again, by=ENGINE, at=at)

    async def write(self, tx: Tx, at: object) -> None:
        case = await find.case(tx, self.drill.case.id)
        written = (await tx.session.scalars(select(Note).where(Note.case_id == case.id))).all()
        if written and self.chance.random() < 0.5:
            await notes.revise(tx, self.chance.choice(written), "Better.", by=ENGINE, at=at)
        await notes.add(tx, case, f"Note \u2028 {self.chance.random()}", author=ENGINE, by=ENGINE, at=at)
        await observables.add(tx, case, [("domain", f"{self.chance.randrange(9)}.example")], by=ENGINE, at=at)
        content = str(self.chance.random()).encode()
        await evidence.attach(tx, case, Blobs(self.store.blobs), name="a", content=content, by=ENGINE, at=at)

    async def edit(self, tx: Tx, at: object) -> None:
        case = await find.case(tx, self.drill.case.id)
        await cases.edit(tx, case, title=f"T{self.chance.random()}", owner=self.drill.bob, by=ENGINE, at=at)
        await cases.set_severity(tx, case, self.chance.choice(("low", "high", "critical")), by=ENGINE, at=at)

    async def erase(self, tx: Tx, at: object) -> None:
        """Redact something, erase somebody (who mostly still has work), or hold and release."""
        case = await find.case(tx, self.drill.case.id)
        written = (await tx.session.scalars(select(Note).where(Note.case_id == case.id))).all()
        row = self.chance.choice([*(one.id for one in written), (await self._task(tx)).id])
        person = self.drill[self.chance.choice(("ada", "bob", "mia", "max", "eve"))]
        await self.chance.choice(
            (
                lambda: privacy.redact(tx, case, row, basis="asked", by=ENGINE, at=at),
                lambda: privacy.erase_person(tx, person, basis="asked", by=ENGINE, at=at),
                lambda: privacy.hold_case(tx, case, "court", by=ENGINE, at=at),
                lambda: privacy.release_case(tx, case, by=ENGINE, at=at),
            )
        )()

    async def end(self, tx: Tx, at: object) -> None:
        case = await find.case(tx, self.drill.case.id)
        if case.state != "open":
            await cases.reopen(tx, case, "Again.", by=ENGINE, at=at)
        elif self.chance.random() < 0.3:
            await self.chance.choice((cases.close, cases.cancel))(tx, case, "Done.", by=ENGINE, at=at)

    verbs: tuple[Callable[..., Awaitable[None]], ...] = (
        ask,
        ask,
        decide,
        decide,
        move,
        condition,
        stage,
        run,
        write,
        edit,
        erase,
        end,
    )
