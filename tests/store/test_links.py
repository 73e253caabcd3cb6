"""Links: one person, one task, once; and none of it without the key and the database together."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from case_store import cases, codes, find, forms, links, tasks
from case_store.actor import Actor
from case_store.links import Answer, LinkKeys
from case_store.models import AnswerLink, AuditEvent, SignOffCode, Task
from case_store.refusals import CodeRequired, FourEyes, LinkRefused, NotYours, TextRequired
from case_store.store import CaseStore
from sop.loader import loads
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, World

KEYS = LinkKeys(("an-old-key-of-32-characters-or-more",))
WEB = Actor.system("web")
LASTS = timedelta(hours=1)


@pytest.fixture
async def drill(store: CaseStore) -> World:
    return await opened(store)


async def opened(store: CaseStore, **options: object) -> World:
    made = await world.build(store, **options)
    async with store.transaction() as tx:
        for key in ("report", "confirm", "block"):
            parameters = {"url": "https://gateway.example/block"} if key == "block" else None
            task = await world.task(tx, made, key)
            await tasks.ask(tx, task, parameters=parameters, due_at=LATER, by=ENGINE, at=NOW)
    return made


async def link(store: CaseStore, drill: World, key: str, who: str, channel: str = "email") -> str | None:
    async with store.transaction() as tx:
        task = await world.task(tx, drill, key)
        token = await links.mint(tx, task, drill[who], channel, keys=KEYS, lasts=LASTS, by=ENGINE, at=NOW)
    return token and KEYS.read_link(token)


async def use(store: CaseStore, name: str | None, decision: str = "done", at: Any = LATER, **more: Any) -> None:
    async with store.transaction() as tx:
        await links.answer(tx, name, Answer(decision, **more), by=WEB, at=at)


async def counted(store: CaseStore, kind: str) -> int | None:
    async with store.reading() as tx:
        return await tx.session.scalar(select(func.count()).where(AuditEvent.type == kind))


async def the(store: CaseStore, drill: World, key: str) -> Task:
    async with store.reading() as tx:
        return await world.task(tx, drill, key)


async def refused(store: CaseStore, name: str | None, why: str, decision: str = "done", at: Any = LATER) -> None:
    with pytest.raises(LinkRefused) as refusal:
        await use(store, name, decision, at)
    assert refusal.value.why == why


async def test_a_link_decides_as_its_person_and_once(store: CaseStore, drill: World):
    name = await link(store, drill, "report", "ada")
    await use(store, name)
    task = await the(store, drill, "report")
    assert (task.state, task.signed_by, task.decided_via) == ("done", "ada", "link")
    await refused(store, name, "used")
    assert await counted(store, "answer_link.used") == 1


async def test_an_approval_that_its_sop_wants_signed_is_signed_with_the_one_code(store: CaseStore):
    sop = loads(world.SOP_TEXT.replace("not_requester: true}", "sign_off_code: true}"))
    async with store.transaction() as tx:
        people = await world.people(tx)
        case = await cases.open_case(tx, sop, "Signed", by=ENGINE, at=NOW)
        block = await find.task_of(tx, case, "block")
        await tasks.ask(tx, block, parameters={"url": "x"}, due_at=LATER, by=ENGINE, at=NOW)
        made = await links.mint(tx, block, people["mia"], "email", keys=KEYS, lasts=LASTS, by=ENGINE, at=NOW)
        name = KEYS.read_link(made or "")
        await links.send_code(tx, name, by=WEB, at=LATER)
    with pytest.raises(CodeRequired):
        await use(store, name, "approve")
    async with store.transaction() as tx:
        assert (await links.check_code(tx, name, "approve", await world.code_of(tx), by=WEB, at=LATER)).verified
    await use(store, name, "approve")
    async with store.reading() as tx:
        assert (await find.task_of(tx, case, "block")).decision == "approved"


async def test_twenty_at_once_decide_once(store: CaseStore, drill: World):
    name = await link(store, drill, "report", "ada")
    came = await asyncio.gather(*(use(store, name) for _ in range(20)), return_exceptions=True)
    assert came.count(None) == 1
    assert {one.why for one in came if isinstance(one, LinkRefused)} == {"used"}
    assert sum(isinstance(one, LinkRefused) for one in came) == 19
    assert await counted(store, "task.completed") == await counted(store, "answer_link.used") == 1


async def test_only_the_digest_is_kept(store: CaseStore, drill: World):
    name = await link(store, drill, "report", "ada")
    async with store.reading() as tx:
        kept = (await tx.session.scalars(select(AnswerLink))).one()
        assert kept.name_sha256 == name
        assert KEYS.read_link(kept.name_sha256) is None


@pytest.mark.parametrize(("key", "who"), [("report", "bob"), ("confirm", "mia"), ("extract", "ada")])
async def test_nobody_gets_a_link_to_what_they_may_not_decide(store: CaseStore, drill: World, key: str, who: str):
    assert await link(store, drill, key, who) is None


async def test_looking_changes_nothing(store: CaseStore, drill: World):
    name = await link(store, drill, "report", "ada")
    before = await counted(store, "answer_link.minted")
    for _ in range(3):
        async with store.reading() as tx:
            found, task = await links.look(tx, name, LATER)
            assert (found.used_at, task.state) == (None, "open")
    assert await counted(store, "answer_link.minted") == before


async def test_what_has_ended_is_refused(store: CaseStore, drill: World):
    name = await link(store, drill, "report", "ada")
    await refused(store, None, "unknown")
    await refused(store, "0" * 64, "unknown")
    await refused(store, name, "expired", at=NOW + LASTS)
    await refused(store, name, "not_allowed", "skip")
    async with store.transaction() as tx:
        task = await world.task(tx, drill, "report")
        assert await links.revoke(tx, task, "lost phone", by=ENGINE, at=LATER) == 1
        assert await links.revoke(tx, task, "lost phone", by=ENGINE, at=LATER) == 0
    await refused(store, name, "revoked")
    assert (await the(store, drill, "report")).state == "open"


async def test_a_task_decided_elsewhere_is_left_alone(store: CaseStore, drill: World):
    name = await link(store, drill, "report", "ada")
    async with store.transaction() as tx:
        task = await world.task(tx, drill, "report")
        await tasks.complete(tx, task, form_values={}, note=None, signed_by=drill.ada, via="cli", by=ENGINE, at=LATER)
    await refused(store, name, "decided")


async def test_other_parameters_void_the_link(store: CaseStore, drill: World):
    name = await link(store, drill, "block", "mia")
    async with store.transaction() as tx:
        task = await world.task(tx, drill, "block")
        task.parameters = {"url": "https://gateway.example/block-everything"}
        tx.record("test.changed", task, by=ENGINE, at=LATER)
    await refused(store, name, "changed", "approve")
    assert (await the(store, drill, "block")).state == "open"


async def verified(store: CaseStore, name: str | None) -> None:
    async with store.transaction() as tx:
        assert await links.send_code(tx, name, by=WEB, at=LATER) == "sms", "the link went by mail"
        digits = await world.code_of(tx)
    async with store.transaction() as tx:
        assert (await links.check_code(tx, name, "approve", digits, by=WEB, at=LATER)).verified


async def test_an_approval_needs_a_code_of_another_way(store: CaseStore, drill: World):
    name = await link(store, drill, "block", "mia")
    for decision in ("approve", "reject"):
        with pytest.raises(CodeRequired):
            await use(store, name, decision)
    async with store.transaction() as tx:
        await links.send_code(tx, name, by=WEB, at=LATER)
    async with store.transaction() as tx:
        assert not (await links.check_code(tx, name, "reject", "1", by=WEB, at=LATER)).verified
    with pytest.raises(CodeRequired):
        await use(store, name, "approve")
    await verified_later(store, name)
    task = await the(store, drill, "block")
    assert (task.decision, task.signed_by) == ("approved", "mia")


async def verified_later(store: CaseStore, name: str | None) -> None:
    async with store.transaction() as tx:
        digits = await world.code_of(tx)
        assert (await links.check_code(tx, name, "approve", digits, by=WEB, at=LATER)).verified
    await use(store, name, "approve")


SIGNED_SOP = """
sop: signed
version: 1
title: Signed by link
owner: role:tier1
stages:
  - key: all
    title: All of it
    tasks:
      - key: one
        title: By one
        approval: {from: "role:manager", sign_off_code: true}
        by_link: [approve, reject, skip]
      - key: two
        title: By two
        approval: {from: "role:manager", needed: 2, sign_off_code: true}
        by_link: [approve, reject, skip]
      - key: plain
        title: Without a word about codes
        approval: {from: "role:manager"}
        by_link: [approve, reject, skip]
"""


@pytest.fixture
async def desk(store: CaseStore) -> World:
    """A case in which everything is signed, whether or not its SOP says so."""
    async with store.transaction() as tx:
        people = await world.people(tx)
        by = Actor.person(people["ada"])
        case = await cases.open_case(tx, loads(SIGNED_SOP, "signed.yaml"), "Signed", by=by, at=NOW)
    made = World(case, **people)
    async with store.transaction() as tx:
        for key in ("one", "two", "plain"):
            await tasks.ask(tx, await world.task(tx, made, key), parameters=None, due_at=LATER, by=ENGINE, at=NOW)
    return made


AFTER = {"approve": "done", "reject": "rejected", "skip": "skipped"}


@pytest.mark.parametrize("decision", list(AFTER))
@pytest.mark.parametrize("key", ["one", "two", "plain"])
async def test_one_code_signs_one_decision_by_link(store: CaseStore, desk: World, key: str, decision: str):
    name = await link(store, desk, key, "mia")
    with pytest.raises(CodeRequired):
        await use(store, name, decision, note="why not")
    await verified(store, name)
    await use(store, name, decision, note="why not")
    task = await the(store, desk, key)
    assert task.state == ("open" if (key, decision) == ("two", "approve") else AFTER[decision])
    async with store.reading() as tx:
        [code] = await tx.session.scalars(select(SignOffCode))
        assert code.used_at == LATER
        bodies = [json.loads(one) for one in await tx.session.scalars(select(AuditEvent.body))]
    signed = [one["type"] for one in bodies if one["facts"].get("verified_by") == "sms"]
    told = {"approve": "approval.given", "reject": "task.rejected", "skip": "task.skipped"}
    assert signed == [told[decision]], "the decision's own event says by which code"
    assert [one["facts"]["code_id"] for one in bodies if one["type"] == "answer_link.used"] == [code.id]


async def test_two_managers_approve_by_link(store: CaseStore, desk: World):
    for who in ("mia", "max"):
        name = await link(store, desk, "two", who)
        await verified(store, name)
        await use(store, name, "approve")
    assert (await the(store, desk, "two")).decision == "approved"


async def test_a_code_that_went_the_way_of_the_link_signs_nothing(store: CaseStore, desk: World):
    by_text = await link(store, desk, "plain", "mia", "sms")
    async with store.transaction() as tx:  # asked for in a form, whose link went by mail
        sent = await codes.send(
            tx,
            await world.task(tx, desk, "plain"),
            desk["mia"],
            away_from="email",
            by=ENGINE,
            at=NOW + timedelta(minutes=5),
        )
        assert sent.channel == "sms"
        digits = await world.code_of(tx)
    async with store.transaction() as tx:
        checked = await links.check_code(tx, by_text, "approve", digits, by=WEB, at=LATER)
        assert checked is not None
        assert not checked.verified
        assert "have another one sent" in (checked.why or "")
    async with store.transaction() as tx:  # entered there, then used here
        task = await world.task(tx, desk, "plain")
        assert (await codes.check(tx, task, desk["mia"], digits, away_from="email", by=ENGINE, at=LATER)).verified
    with pytest.raises(CodeRequired, match="another way than the link"):
        await use(store, by_text, "approve")
    async with store.transaction() as tx:
        assert await links.send_code(tx, by_text, by=WEB, at=LATER) == "email"
        digits = await world.code_of(tx)
    async with store.transaction() as tx:
        task = await world.task(tx, desk, "plain")
        assert not (await codes.check(tx, task, desk["mia"], digits, away_from="email", by=ENGINE, at=LATER)).verified
    await verified_later(store, by_text)


async def test_a_code_of_somebody_else_signs_nothing(store: CaseStore, drill: World):
    mia, max_ = await link(store, drill, "block", "mia"), await link(store, drill, "block", "max")
    await verified(store, max_)
    with pytest.raises(CodeRequired):
        await use(store, mia, "approve")


async def test_no_code_goes_where_nothing_is_signed(store: CaseStore, drill: World):
    name = await link(store, drill, "report", "ada")
    with pytest.raises(LinkRefused):
        async with store.transaction() as tx:
            await links.send_code(tx, name, by=WEB, at=LATER)


async def test_nobody_approves_by_link_what_they_asked_for(store: CaseStore):
    async with store.transaction() as tx:
        made = await world.people(tx)
    async with store.transaction() as tx:
        by = Actor.person(made["mia"])
        case = await cases.open_case(tx, world.sop(), "Suspicious mail", by=by, at=NOW)
    drill = World(case, **made)
    async with store.transaction() as tx:
        task = await world.task(tx, drill, "block")
        await tasks.ask(tx, task, parameters={"url": "x"}, due_at=LATER, by=ENGINE, at=NOW)
    mia, max_ = await link(store, drill, "block", "mia"), await link(store, drill, "block", "max")
    await verified(store, mia)
    with pytest.raises(FourEyes):
        await use(store, mia, "approve")
    await verified(store, max_)
    await use(store, max_, "approve")
    assert (await the(store, drill, "block")).signed_by == "max"


async def test_a_refused_answer_leaves_the_link_as_it_was(store: CaseStore, drill: World):
    name = await link(store, drill, "confirm", "bob")
    with pytest.raises(forms.FormRefused, match="verdict"):
        await use(store, name, note="seen it")
    with pytest.raises(TextRequired):
        await use(store, name, form_values={"verdict": "spam"})
    await use(store, name, note="seen it", form_values={"verdict": "spam", "hosts": "3"})
    assert (await the(store, drill, "confirm")).form_values == {"verdict": "spam", "hosts": 3}


async def test_a_task_handed_over_is_no_longer_decided_by_the_old_link(store: CaseStore, drill: World):
    name = await link(store, drill, "report", "ada")
    async with store.transaction() as tx:
        task = await world.task(tx, drill, "report")
        await tasks.reassign(tx, task, to=drill.bob, by=ENGINE, at=LATER)
    with pytest.raises(NotYours):
        await use(store, name)
