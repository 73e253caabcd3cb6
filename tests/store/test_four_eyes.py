"""Who may approve, how many must, of exactly what; and that a change of it voids what was approved."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from sqlalchemy import select

from case_store import audit, cases, codes, endings, find, tasks
from case_store.actor import Actor
from case_store.audit import private
from case_store.errors import StoreError
from case_store.lifecycle import NotAllowedNow
from case_store.models import Approval, Case, OutboxEntry, Person, Task
from case_store.refusals import (
    AlreadyApproved,
    AlreadyDecided,
    CodeRequired,
    FourEyes,
    NotApprover,
    NotAsApproved,
    ParametersChanged,
    WrongKind,
)
from case_store.store import CaseStore, Tx
from sop.loader import loads
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW

SIGNED_SOP = """
sop: signed
version: 1
title: Signed
owner: role:tier1
stages:
  - key: only
    title: Only
    tasks:
      - key: block
        title: Block it
        approval: {from: "role:manager", needed: 2, sign_off_code: true}
        action: http.request
        with: {url: "case.title"}
"""
SOP = """
sop: wipe
version: 1
title: Wipe a device
owner: role:tier1
stages:
  - key: wipe
    title: Wipe
    tasks:
      - key: propose
        title: Propose which device
        owner: role:tier1
        form:
          device: {type: text, required: true}
      - key: block
        title: Block it
        depends_on: [propose]
        approval: {from: "role:manager", needed: 2, not_requester: true, not_executor: true}
        action: http.request
        with: {url: "case.title"}
      - key: tell
        title: Tell the owner
        depends_on: [block]
        owner: role:manager
      - key: pay
        title: Pay for it
        approval: {from: "role:manager", sign_off_code: true}
"""
WITH = {"url": "Laptop 7"}


class Desk:
    """A case of that SOP with people who decide in it."""

    def __init__(self, store: CaseStore, case: Case) -> None:
        self.store, self.case = store, case

    async def task(self, tx: Tx, key: str) -> Task:
        return await world.task(tx, self, key)  # type: ignore[arg-type]

    async def look(self, key: str = "block") -> Task:
        async with self.store.reading() as tx:
            return await self.task(tx, key)

    async def ask(self, key: str, parameters: dict[str, object] | None = None) -> None:
        async with self.store.transaction() as tx:
            await tasks.ask(tx, await self.task(tx, key), parameters=parameters, due_at=LATER, by=ENGINE, at=NOW)

    async def decide(self, verb: Callable[..., Awaitable[Task]], who: str, key: str = "block", **options) -> Task:
        async with self.store.transaction() as tx:
            person = await find.person(tx, who)
            signed = {"signed_by": person, "via": "cli", "by": Actor.person(person), "at": LATER}
            return await verb(tx, await self.task(tx, key), **options, **signed)

    async def approve(self, who: str, key: str = "block", **options) -> str:
        return (await self.decide(tasks.approve, who, key, **options)).state

    async def complete(self, who: str, key: str, values: dict[str, object] | None = None, **options) -> str:
        return (await self.decide(tasks.complete, who, key, form_values=values or {}, note=None, **options)).state

    async def renew(self) -> bool:
        async with self.store.transaction() as tx:
            return await tasks.renew(tx, await self.task(tx, "block"), by=ENGINE, at=LATER)

    async def start(self, inputs: dict[str, object]) -> str:
        async with self.store.transaction() as tx:
            task = await self.task(tx, "block")
            run = {"run_id": "r", "code_version": "1", "inputs": inputs, "by": ENGINE, "at": LATER}
            await tasks.start_action(tx, task, **run)
            return task.state

    async def events(self, prefix: str) -> list[tuple[str, dict]]:
        async with self.store.reading() as tx:
            trail = await audit.tail(tx, 0, self.case, limit=1000)
            bodies = await private.read(tx, [one.body for one in trail if one.type.startswith(prefix)])
        return [(one["type"], one["facts"]) for one in bodies]


@pytest.fixture
async def desk(store: CaseStore) -> Desk:
    async with store.transaction() as tx:
        people = await world.people(tx)
        world.new_person(tx, "moe", "manager", "tier1", phone="+4930901821")
        await tx.flush()
        by = Actor.person(people["max"])
        case = await cases.open_case(tx, loads(SOP, "wipe.yaml"), "Laptop 7", by=by, at=NOW)
    made = Desk(store, case)
    await made.ask("propose")
    await made.complete("moe", "propose", {"device": "Laptop 7"})
    await made.ask("block", dict(WITH))
    async with store.transaction() as tx:
        world.new_person(tx, "liv", "manager")
        world.new_person(tx, "lea", "manager")
        await tx.flush()
    return made


async def test_it_takes_as_many_different_people_as_the_sop_says(desk: Desk):
    assert await desk.approve("mia") == "open"
    with pytest.raises(AlreadyApproved, match="mia has approved"):
        await desk.approve("mia")
    with pytest.raises(NotAllowedNow):
        await desk.start(WITH)
    assert await desk.approve("liv") == "waiting"
    with pytest.raises(AlreadyDecided):
        await desk.approve("lea")
    told = await desk.events("approval.given")
    assert [(facts["who"], facts["number"], facts["needed"]) for _, facts in told] == [("mia", 1, 2), ("liv", 2, 2)]
    async with desk.store.reading() as tx:
        digests = set(await tx.session.scalars(select(Approval.parameters_sha256)))
    assert digests == {tasks.parameters_sha256(WITH)}
    assert await desk.start(WITH) == "running"


async def test_one_who_rejects_is_enough(desk: Desk):
    await desk.approve("mia")
    assert (await desk.decide(tasks.reject, "liv")).state == "rejected"


async def skip(tx: Tx, task: Task, **options) -> Task:
    return await tasks.skip(tx, task, "not now", **options)


@pytest.mark.parametrize("verb", [tasks.approve, tasks.reject, skip])
@pytest.mark.parametrize(
    ("who", "refusal", "why"),
    [
        ("max", FourEyes, "opened the case"),
        ("moe", FourEyes, "did task 'propose'"),
        ("ada", NotApprover, "role:manager"),
    ],
)
async def test_requester_executor_and_strangers_decide_nothing(desk: Desk, verb, who: str, refusal, why: str):
    with pytest.raises(refusal, match=why):
        await desk.decide(verb, who, take_over=True)
    assert (await desk.look()).state == "open"


async def test_who_approved_carries_out_nothing(desk: Desk):
    await desk.approve("mia")
    await desk.approve("liv")
    await desk.ask("tell")
    with pytest.raises(FourEyes, match="mia approved 'block' and so may not carry out task 'tell'"):
        await desk.complete("mia", "tell")
    assert await desk.complete("lea", "tell") == "done"


async def test_who_approved_does_not_do_the_action_by_hand(desk: Desk):
    await desk.approve("mia")
    await desk.approve("liv")
    await desk.start(WITH)
    async with desk.store.transaction() as tx:
        run = await tasks.running_execution(tx, await desk.task(tx, "block"))
        await tasks.finish_action(tx, run, outcome="failed", output={}, error="no", by=ENGINE, at=LATER)
    with pytest.raises(FourEyes, match="liv approved 'block'"):
        await desk.complete("liv", "block", take_over=True)
    assert await desk.complete("lea", "block", take_over=True) == "done"


@pytest.mark.parametrize("approvers", [["mia"], ["mia", "liv"]])
async def test_other_parameters_void_what_was_approved(desk: Desk, approvers: list[str]):
    for who in approvers:
        await desk.approve(who)
    assert not await desk.renew(), "nothing has changed"
    async with desk.store.transaction() as tx:
        await cases.edit(tx, desk.case, title="Laptop 8", by=ENGINE, at=LATER)
    assert await desk.renew()
    task = await desk.look()
    assert (task.state, task.decision, task.signed_by, task.parameters) == ("open", None, None, {"url": "Laptop 8"})
    assert len(await desk.events("approval.voided")) == len(approvers)
    with pytest.raises(NotAllowedNow):
        await desk.start({"url": "Laptop 8"})
    assert await desk.approve("mia") == "open", "nobody's approval is left"
    assert await desk.approve("lea") == "waiting"
    assert await desk.start({"url": "Laptop 8"}) == "running"


@pytest.mark.parametrize("approvers", [["mia"], ["mia", "liv"]])
async def test_what_was_approved_before_a_case_was_opened_again_is_approved_again(desk: Desk, approvers: list[str]):
    for who in approvers:
        await desk.approve(who)
    async with desk.store.transaction() as tx:
        case = await find.case(tx, desk.case.id, lock=True)
        await endings.cancel(tx, case, "a drill", by=ENGINE, at=LATER)
        await endings.reopen(tx, case, "no drill", by=ENGINE, at=LATER)
    await desk.ask("block", dict(WITH))
    assert await desk.approve("mia") == "open"
    assert await desk.approve("lea") == "waiting"


async def test_nobody_approves_what_they_did_not_see(desk: Desk):
    seen = tasks.parameters_sha256(WITH)
    async with desk.store.transaction() as tx:
        await cases.edit(tx, desk.case, title="Laptop 8", by=ENGINE, at=LATER)
    assert await desk.approve("mia", seen=seen) == "open"
    await desk.renew()
    for verb in (tasks.approve, tasks.reject):
        with pytest.raises(ParametersChanged):
            await desk.decide(verb, "liv", seen=seen)


async def test_parameters_that_changed_behind_the_approvals_do_not_run(desk: Desk):
    await desk.approve("mia")
    await desk.approve("liv")
    async with desk.store.transaction() as tx:
        task = await desk.task(tx, "block")
        task.parameters = {"url": "elsewhere"}
        tx.record("test.changed", task, by=ENGINE, at=LATER)
    with pytest.raises(NotAsApproved, match="other parameters"):
        await desk.start(WITH)
    with pytest.raises(NotAsApproved, match="fewer approvals"):
        await desk.start({"url": "elsewhere"})


async def test_what_has_begun_is_not_renewed(desk: Desk):
    await desk.approve("mia")
    await desk.approve("liv")
    await desk.start(WITH)
    with pytest.raises(NotAllowedNow):
        await desk.renew()
    async with desk.store.transaction() as tx:
        with pytest.raises(WrongKind):
            await tasks.renew(tx, await desk.task(tx, "pay"), by=ENGINE, at=LATER)


async def test_many_at_once_count_once_each(desk: Desk):
    async def try_it(who: str) -> None:
        with suppress(StoreError):
            await desk.approve(who)

    await asyncio.gather(*(try_it(who) for who in ["mia", "max", "moe", "ada"] * 5))
    assert (await desk.look()).state == "open"
    async with desk.store.reading() as tx:
        wanted = select(Person.handle).join(Approval, Approval.person_id == Person.id)
        assert (await tx.session.scalars(wanted)).all() == ["mia"]


async def test_one_of_several_approvers_may_skip_as_they_may_reject(desk: Desk):
    await desk.approve("mia")
    assert (await desk.decide(skip, "liv")).state == "skipped"


async def test_an_approved_action_that_failed_is_left_out_by_whoever_takes_it_over(desk: Desk):
    await desk.approve("mia")
    await desk.approve("liv")
    await desk.start(WITH)
    async with desk.store.transaction() as tx:
        run = await tasks.running_execution(tx, await desk.task(tx, "block"))
        await tasks.finish_action(tx, run, outcome="failed", output={}, error="no", by=ENGINE, at=LATER)
    assert (await desk.decide(skip, "ada", take_over=True)).state == "skipped", "four eyes have seen it"


@pytest.mark.parametrize("verb", [tasks.approve, tasks.reject, skip])
async def test_a_decision_is_signed_with_a_code_where_the_sop_says_so(desk: Desk, verb):
    await desk.ask("pay")
    with pytest.raises(CodeRequired):
        await desk.decide(verb, "moe", "pay")
    async with desk.store.transaction() as tx:
        moe, pay = await find.person(tx, "moe"), await desk.task(tx, "pay")
        await codes.send(tx, pay, moe, away_from="email", by=ENGINE, at=LATER)
        message = await tx.session.scalar(select(OutboxEntry).where(OutboxEntry.template == "code"))
        assert (
            await codes.check(tx, pay, moe, message.context["code"]["digits"], away_from="email", by=ENGINE, at=LATER)
        ).verified
    with pytest.raises(CodeRequired):
        await desk.decide(verb, "mia", "pay")
    await desk.decide(verb, "moe", "pay")
    [(_, facts)] = [one for one in await desk.events("") if one[1].get("verified_by") == "sms"]
    assert facts["name"] == "Moe"


@pytest.mark.parametrize("entered", ["before", "after"])
async def test_a_code_for_other_parameters_signs_nothing(store: CaseStore, entered: str):
    async with store.transaction() as tx:
        people = await world.people(tx)
        by = Actor.person(people["ada"])
        case = await cases.open_case(tx, loads(SIGNED_SOP, "signed.yaml"), "Laptop 7", by=by, at=NOW)
    desk = Desk(store, case)
    await desk.ask("block", dict(WITH))

    async def enter(digits: str) -> codes.Checked:
        async with store.transaction() as tx:
            block, mia = await desk.task(tx, "block"), await find.person(tx, "mia")
            return await codes.check(tx, block, mia, digits, away_from="email", by=ENGINE, at=LATER)

    async with store.transaction() as tx:
        block, mia = await desk.task(tx, "block"), await find.person(tx, "mia")
        await codes.send(tx, block, mia, away_from="email", by=ENGINE, at=LATER)
        digits = await world.code_of(tx)
    if entered == "before":
        assert (await enter(digits)).verified
    async with store.transaction() as tx:
        await cases.edit(tx, case, title="Laptop 8", by=ENGINE, at=LATER)
    assert await desk.renew()
    if entered == "after":
        assert not (await enter(digits)).verified
    with pytest.raises(CodeRequired):
        await desk.approve("mia")
    assert (await desk.look()).state == "open"


def test_parameters_have_one_digest_and_different_ones_others():
    alike = [{"a": 1, "b": [1.5, None]}, {"b": [1.5, None], "a": 1}]
    assert len({tasks.parameters_sha256(one) for one in alike}) == 1
    others = [None, {}, {"a": 1}, {"a": "1"}, {"a": True}, {"a": 1.5}, {"a": "1.5"}, {"a": None}, {"a": [1]}]
    assert len({tasks.parameters_sha256(one) for one in others}) == len(others)
