"""What happens to answers that are wrong, late, or given by two people at once."""

import asyncio
from datetime import UTC, datetime

import pytest

from case_store import find, tasks
from case_store.actor import Actor
from case_store.refusals import AlreadyDecided
from tests.site import Desk, until

JUDGED = {"verdict": "good", "note": "Seen it.", "signed_by": "ana"}


async def _complete_at_the_command_line(desk: Desk, number: int, handle: str) -> None:
    async with desk.store.transaction() as tx:
        task = await find.task_of(tx, await find.case(tx, number), "judge")
        person = await find.person(tx, handle)
        await tasks.complete(
            tx,
            task,
            form_values={"verdict": "good"},
            note="By hand.",
            signed_by=person,
            via="command line",
            by=Actor.person(person),
            at=datetime.now(UTC),
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {**JUDGED, "verdict": "ugly"},
        {"note": "no verdict", "signed_by": "ana"},
        {**JUDGED, "signed_by": "nobody"},
        {**JUDGED, "surprise": "field"},
        {"verdict": "good", "signed_by": "ana"},
    ],
    ids=["choice", "missing", "stranger", "unknown field", "no note"],
)
async def test_a_wrong_form_is_refused_and_the_task_still_waits(desk: Desk, wrong: dict[str, str]) -> None:
    case = await desk.open("short")
    question = await desk.question(case.number, "judge")
    said = await desk.resume(question, **wrong)
    assert said["status"] == "REJECT", said
    assert (await desk.run(question.flow_run_id))["state"]["type"] == "PAUSED"
    assert (await desk.task(case.number, "judge")).state == "open"


async def test_a_stranger_is_asked_again_and_may_take_over(desk: Desk) -> None:
    case = await desk.open("short")
    question = await desk.answer(case.number, "judge", **{**JUDGED, "signed_by": "mia"})
    again = await desk.question(case.number, "judge", attempt=2)

    refused = await desk.run(question.flow_run_id)
    assert (refused["state"]["type"], refused["state"]["name"]) == ("FAILED", "Refused")
    assert "take" in refused["state"]["message"]
    assert "Asked again (attempt 2)" in await desk.description(again)
    assert (await desk.task(case.number, "judge")).state == "open"

    await desk.answer(case.number, "judge", attempt=2, **{**JUDGED, "signed_by": "mia", "take_over": True})
    await desk.ends(case.number)
    types = [event["type"] for event in await desk.events(case.number)]
    assert types.index("task.taken_over") < types.index("task.completed")
    assert types.count("task.completed") == 1


async def test_a_wrong_answer_is_asked_again_while_the_stage_still_works(desk: Desk) -> None:
    case = await desk.open("once")
    await desk.answer(case.number, "say", signed_by="mia")
    await desk.question(case.number, "say", attempt=2)
    assert (await desk.task(case.number, "shoot")).state == "running"

    await desk.answer(case.number, "say", attempt=2, signed_by="ana")
    await desk.ends(case.number)


async def test_of_two_who_resume_at_once_one_decides_and_the_other_is_told(desk: Desk) -> None:
    case = await desk.open("short")
    question = await desk.question(case.number, "judge")
    said = await asyncio.gather(
        desk.resume(question, **JUDGED), desk.resume(question, **{**JUDGED, "signed_by": "ben"})
    )
    assert sorted(one["status"] for one in said) == ["ABORT", "ACCEPT"]
    assert any("not paused" in str(one["details"]) for one in said)
    await desk.ends(case.number)
    assert [event["type"] for event in await desk.events(case.number)].count("task.completed") == 1


async def test_of_one_who_resumes_and_one_at_the_command_line_one_decides_and_the_other_is_told(desk: Desk) -> None:
    case = await desk.open("short")
    question = await desk.question(case.number, "judge")
    said, by_hand = await asyncio.gather(
        desk.resume(question, **JUDGED),
        _complete_at_the_command_line(desk, case.number, "ben"),
        return_exceptions=True,
    )
    await desk.ends(case.number)
    task = await desk.task(case.number, "judge")
    assert [event["type"] for event in await desk.events(case.number)].count("task.completed") == 1

    async def run_ended() -> dict[str, str] | None:
        state = (await desk.run(question.flow_run_id))["state"]
        return state if state["type"] == "COMPLETED" else None

    state = await until(run_ended)
    if task.decided_via == "Prefect UI":
        assert isinstance(by_hand, AlreadyDecided)
        assert "ana" in str(by_hand)
    else:
        assert by_hand is None
        told_by_server = isinstance(said, dict) and said["status"] == "ABORT"
        assert told_by_server or "ben" in state["message"]


async def test_a_task_completed_elsewhere_closes_its_form(desk: Desk) -> None:
    case = await desk.open("short")
    question = await desk.question(case.number, "judge")
    await _complete_at_the_command_line(desk, case.number, "ben")
    await desk.ends(case.number)

    async def closed() -> str | None:
        state = (await desk.run(question.flow_run_id))["state"]
        return state["message"] if state["type"] == "COMPLETED" else None

    assert "Done by ben through command line" in str(await until(closed))


async def test_skipping_needs_a_reason(desk: Desk) -> None:
    case = await desk.open("short")
    await desk.answer(case.number, "judge", **{**JUDGED, "verdict": "bad"})
    await desk.answer(case.number, "approve-mark", decision="reject", signed_by="mia")
    await desk.answer(case.number, "tell", decision="skip", signed_by="ben")
    again = await desk.question(case.number, "tell", attempt=2)
    assert "reason" in await desk.description(again)
    await desk.answer(case.number, "tell", attempt=2, decision="skip", note="Nobody is there.", signed_by="ben")
    await desk.answer(case.number, "polish", decision="done", signed_by="ana")
    await desk.ends(case.number)
    skipped = await desk.task(case.number, "tell")
    assert (skipped.state, skipped.reason) == ("skipped", "Nobody is there.")
    assert (await desk.task(case.number, "approve-mark")).state == "rejected"
