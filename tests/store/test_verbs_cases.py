"""Opening, editing and ending a case."""

import asyncio

import pytest
from sqlalchemy import func, select

from case_store import audit, cases, find, signals, stages, tasks
from case_store.actor import Actor
from case_store.lifecycle import NotAllowedNow
from case_store.models import Case, CaseRun, SopDocument, Stage, Task
from case_store.refusals import MandatoryTasksOpen, NotFound, TextRequired
from case_store.store import CaseStore, Tx
from sop.loader import loads
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, SYSTEM


async def states(tx: Tx, case: Case) -> dict[str, str]:
    rows = await tx.session.execute(select(Task.key, Task.state).where(Task.case_id == case.id))
    found = dict(rows.all())
    rows = await tx.session.execute(select(Stage.key, Stage.state).where(Stage.case_id == case.id))
    return found | dict(rows.all())


async def types(tx: Tx, case: Case) -> list[str]:
    return [event.type for event in await audit.tail(tx, 0, case, limit=1000)]


async def generation(tx: Tx, case: Case) -> int:
    return (await signals.run_of(tx, case.id)).generation


async def test_opening_plans_everything_and_tells_the_engine(store: CaseStore):
    drill = await world.build(store)
    async with store.reading() as tx:
        case = await find.case(tx, 1)
        assert (case.title, case.severity, case.sop_key, case.sop_version) == ("Suspicious mail", "low", "drill", 3)
        assert (case.owner_id, case.owner_role, case.state) == (None, "tier1", "open")
        assert set((await states(tx, case)).values()) == {"waiting"}
        assert (await tx.session.scalars(select(SopDocument.text))).all() == [world.SOP_TEXT]
        approval = await find.task_of(tx, case, "block")
        assert (approval.kind, approval.owner_rule) == ("approval", "role:manager")
        assert sorted(set(await types(tx, case))) == ["case.opened", "stage.planned", "task.planned"]
        (signal,) = await signals.due(tx, NOW)
        assert (signal.case_id, signal.number, signal.generation, signal.advanced) == (drill.case.id, 1, 1, 0)


async def test_numbers_count_up_and_the_sop_is_kept_once(store: CaseStore):
    await world.build(store)
    async with store.transaction() as tx:
        second = await cases.open_case(tx, world.sop(), "Another", "high", by=SYSTEM, at=NOW)
        assert (second.number, second.severity) == (2, "high")
    async with store.reading() as tx:
        assert await tx.session.scalar(select(func.count()).select_from(SopDocument)) == 1


async def test_many_at_once_get_a_number_each(store: CaseStore):
    async def one() -> int:
        async with store.transaction() as tx:
            return (await cases.open_case(tx, world.sop(), "At once", by=SYSTEM, at=NOW)).number

    assert sorted(await asyncio.gather(*(one() for _ in range(8)))) == list(range(1, 9))


async def test_the_same_idempotency_key_gives_the_first_case_back(store: CaseStore):
    async def one() -> str:
        async with store.transaction() as tx:
            case = await cases.open_case(tx, world.sop(), "Once", idempotency_key="a1", by=SYSTEM, at=NOW)
            return case.id

    assert len(set(await asyncio.gather(one(), one(), one()))) == 1
    async with store.reading() as tx:
        assert await tx.session.scalar(select(func.count()).select_from(Case)) == 1
        assert await tx.session.scalar(select(func.count()).select_from(CaseRun)) == 1


async def test_an_owner_given_wins_over_the_rule(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        case = await cases.open_case(tx, world.sop(), "Mine", owner=drill.eve, by=SYSTEM, at=NOW)
        assert (case.owner_id, case.owner_role) == (drill.eve.id, None)


async def test_an_sop_that_gives_its_cases_to_nobody_on_record(store: CaseStore):
    text = world.SOP_TEXT.replace("owner: role:tier1\nstages", "owner: user:zoe\nstages")
    with pytest.raises(NotFound, match="gives its cases to zoe"):
        async with store.transaction() as tx:
            await cases.open_case(tx, loads(text), "Lost", by=SYSTEM, at=NOW)
    async with store.transaction() as tx:
        zoe = world.new_person(tx, "zoe")
        await tx.flush()
        assert (await cases.open_case(tx, loads(text), "Found", by=SYSTEM, at=NOW)).owner_id == zoe.id


async def test_a_case_without_a_title_is_not_opened(store: CaseStore):
    with pytest.raises(TextRequired):
        async with store.transaction() as tx:
            await cases.open_case(tx, world.sop(), " \n\x00".replace("\x00", "\u202e"), by=SYSTEM, at=NOW)


async def test_a_title_is_one_printable_line(store: CaseStore):
    async with store.transaction() as tx:
        case = await cases.open_case(tx, world.sop(), "Look\n  here \u202e!", by=SYSTEM, at=NOW)
        assert case.title == "Look here !"


async def test_editing_what_changes_and_only_that(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        await cases.edit(tx, drill.case, title="Suspicious mail", by=SYSTEM, at=LATER)
        assert await generation(tx, drill.case) == 1
        await cases.edit(tx, drill.case, owner=drill.ada, by=SYSTEM, at=LATER)
        await cases.set_severity(tx, drill.case, "critical", by=ENGINE, at=LATER)
    async with store.reading() as tx:
        case = await find.case(tx, "CASE-1")
        assert (case.owner_id, case.severity) == (drill.ada.id, "critical")
        assert (await types(tx, case)).count("case.edited") == 2


async def test_closing_is_refused_while_mandatory_tasks_are_open(store: CaseStore):
    drill = await world.build(store)
    with pytest.raises(MandatoryTasksOpen, match="CASE-1 has mandatory tasks open: report"):
        async with store.transaction() as tx:
            await cases.close(tx, drill.case, "false alarm", by=SYSTEM, at=LATER)


async def test_closing_cancels_what_is_open_and_says_why(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        report = await world.task(tx, drill, "report")
        await tasks.ask(tx, report, parameters=None, due_at=None, by=ENGINE, at=NOW)
        await tasks.complete(
            tx, report, form_values={}, note=None, signed_by=drill.ada, via="cli", by=Actor.person(drill.ada), at=NOW
        )
        await cases.close(tx, drill.case, "false alarm", by=SYSTEM, at=LATER)
    async with store.reading() as tx:
        case = await find.case(tx, 1)
        assert (case.state, case.resolution, case.closed_at) == ("closed", "false alarm", LATER)
        found = await states(tx, case)
        assert found.pop("report") == "done"
        assert set(found.values()) == {"cancelled"}
        assert (await find.task_of(tx, case, "block")).reason == "the case was closed: false alarm"
        assert await generation(tx, case) == 3


async def test_cancelling_does_not_ask_what_is_mandatory(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        await cases.cancel(tx, drill.case, "opened twice", by=SYSTEM, at=LATER)
    async with store.reading() as tx:
        assert set((await states(tx, drill.case)).values()) == {"cancelled"}
        assert (await find.case(tx, 1)).state == "cancelled"
    for verb in (cases.cancel, cases.close):
        with pytest.raises(NotAllowedNow, match="CASE-1 is cancelled"):
            async with store.transaction() as tx:
                await verb(tx, drill.case, "again", by=SYSTEM, at=LATER)
    with pytest.raises(NotAllowedNow, match="CASE-1 is cancelled"):
        async with store.transaction() as tx:
            await cases.edit(tx, drill.case, title="New", by=SYSTEM, at=LATER)


@pytest.mark.parametrize("verb", [cases.cancel, cases.close, cases.reopen])
async def test_an_ending_needs_words(store: CaseStore, verb):
    drill = await world.build(store)
    with pytest.raises(TextRequired):
        async with store.transaction() as tx:
            await verb(tx, drill.case, "  ", by=SYSTEM, at=LATER)


async def test_reopening_lets_what_was_cancelled_wait_again(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        analyse = await find.stage_of(tx, drill.case, "analyse")
        await stages.activate(tx, analyse, due_at=LATER, by=ENGINE, at=NOW)
        block = await world.task(tx, drill, "block")
        await tasks.ask(tx, block, parameters={"url": "x"}, due_at=LATER, by=ENGINE, at=NOW)
        await tasks.approve(tx, block, signed_by=drill.mia, via="cli", by=Actor.person(drill.mia), at=NOW)
        confirm = await world.task(tx, drill, "confirm")
        await tasks.decide_condition(tx, confirm, met=False, facts={}, by=ENGINE, at=NOW)
        await cases.cancel(tx, drill.case, "too early", by=SYSTEM, at=LATER)
        await cases.reopen(tx, drill.case, "it was not", by=SYSTEM, at=LATER)
    async with store.reading() as tx:
        case = await find.case(tx, 1)
        assert (case.state, case.resolution, case.closed_at, case.reopened_at) == ("open", None, None, LATER)
        found = await states(tx, case)
        assert found.pop("confirm") == "not_applicable"
        assert found.pop("analyse") == "active"
        assert set(found.values()) == {"waiting"}
        block = await world.task(tx, drill, "block")
        assert (block.attempt, block.decision, block.parameters, block.due_at) == (2, None, None, None)
        assert block.signed_by is None
        assert "task.reopened" in await types(tx, case)
        assert await generation(tx, case) == 4


async def test_an_open_case_is_not_reopened(store: CaseStore):
    drill = await world.build(store)
    with pytest.raises(NotAllowedNow, match="CASE-1 is open"):
        async with store.transaction() as tx:
            await cases.reopen(tx, drill.case, "why not", by=SYSTEM, at=LATER)


async def finish_all(tx: Tx, case: Case) -> None:
    for key in ("analyse", "contain"):
        stage = await find.stage_of(tx, case, key)
        await stages.decide_condition(tx, stage, met=False, facts={}, by=ENGINE, at=NOW)


async def test_the_engine_completes_a_case_whose_stages_are_closed(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        assert (await cases.complete(tx, drill.case, by=ENGINE, at=LATER)).state == "open"
        await finish_all(tx, drill.case)
        assert (await cases.complete(tx, drill.case, by=ENGINE, at=LATER)).resolution == "completed"
        await cases.complete(tx, drill.case, by=ENGINE, at=LATER)
    async with store.reading() as tx:
        assert (await types(tx, drill.case)).count("case.completed") == 1


async def test_a_completed_case_that_is_reopened_stays_open_until_a_person_closes_it(store: CaseStore):
    """Else the engine, which finds nothing left to run, would close it again at once."""
    drill = await world.build(store)
    async with store.transaction() as tx:
        await finish_all(tx, drill.case)
        await cases.complete(tx, drill.case, by=ENGINE, at=NOW)
        await cases.reopen(tx, drill.case, "one more look", by=SYSTEM, at=LATER)
        assert (await cases.complete(tx, drill.case, by=ENGINE, at=LATER)).state == "open"
        await cases.close(tx, drill.case, "looked again", by=SYSTEM, at=LATER)
    async with store.reading() as tx:
        assert (await find.case(tx, 1)).resolution == "looked again"
