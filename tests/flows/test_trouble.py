"""Actions that fail, cases that are cancelled, notices to people."""

from datetime import UTC, datetime

from case_store import cases, find, models
from case_store.actor import Actor
from tests.site import Desk, until


async def test_an_action_is_tried_again_and_a_failure_asks_a_person(desk: Desk) -> None:
    case = await desk.open("trouble")
    question = await desk.question(case.number, "broken")
    flaky = await desk.task(case.number, "flaky")
    assert (flaky.state, flaky.result) == ("done", {"worked": True})
    assert (await desk.task(case.number, "broken")).state == "failed"
    assert "the other side says no" in await desk.description(question)
    assert (await desk.form(question))["properties"]["decision"]["enum"] == ["retry", "done", "skip"]

    await desk.answer(case.number, "broken", decision="retry", signed_by="ana")
    await desk.question(case.number, "broken", attempt=2)
    desk.site.effects.with_name("repaired").touch()
    try:
        await desk.answer(case.number, "broken", attempt=2, decision="retry", signed_by="ana")
        await desk.ends(case.number)
    finally:
        desk.site.effects.with_name("repaired").unlink()
    types = [event["type"] for event in await desk.events(case.number)]
    assert types.count("execution.started") == 5


async def test_cancelling_in_prefect_cancels_the_case_and_reopening_goes_on(desk: Desk) -> None:
    case = await desk.open("short")
    question = await desk.question(case.number, "judge")
    async with desk.store.reading() as tx:
        root = (await tx.session.get_one(models.CaseRun, case.id)).flow_run_id
    await until(lambda: _is_waiting(desk, str(root)))
    await desk._request(
        "POST",
        f"/flow_runs/{root}/set_state",
        json={"state": {"type": "CANCELLED", "name": "Cancelled"}, "force": True},
    )
    await desk.ends(case.number, "cancelled")
    await until(lambda: _has_ended(desk, question.flow_run_id))

    async with desk.store.transaction() as tx:
        row = await find.case(tx, case.number)
        await cases.reopen(tx, row, "It was a slip.", by=Actor.system("test"), at=datetime.now(UTC))
    await desk.answer(case.number, "judge", attempt=2, verdict="good", note="At last.", signed_by="ana")
    await desk.ends(case.number)


async def _is_waiting(desk: Desk, run_id: str) -> bool:
    return (await desk.run(run_id))["state"]["name"] == "Suspended"


async def _has_ended(desk: Desk, run_id: str) -> bool:
    return (await desk.run(run_id))["state"]["type"] in {"COMPLETED", "CANCELLED", "CRASHED"}
