"""A person answers a task's form in the Prefect UI, with a real browser, in both interfaces."""

from datetime import UTC, datetime

import pytest
from playwright.async_api import expect

from case_store.models import Task
from tests.browser.pages import FirstInterface
from tests.site import Desk

PATIENCE = 180.0  # a browser beside the server takes its time


async def test_a_form_filled_in_by_hand_decides_the_task(desk: Desk, task_page: FirstInterface) -> None:
    case = await desk.open("short")
    question = await desk.question(case.number, "judge", within=PATIENCE)
    await task_page.open(question.flow_run_id)

    await task_page.choose("Verdict", "bad")
    await task_page.write("How many", "3")
    await task_page.choose("Signed by", "ana")
    await task_page.write("Note", "Seen it with my own eyes.")
    before = datetime.now(UTC)
    said = await task_page.submit()
    assert said["status"] == "ACCEPT", said

    decided = await desk.becomes(case.number, "judge", "done")
    await desk.question(case.number, "approve-mark", within=PATIENCE)
    assert _facts(decided) == ("completed", {"verdict": "bad", "count": 3}, "ana")
    assert decided.decided_at is not None
    assert before <= decided.decided_at <= datetime.now(UTC)


@pytest.mark.parametrize("task_page", ["v2"], indirect=True)
@pytest.mark.parametrize(
    ("filled", "missing"),
    [
        ({"verdict": "good", "signed_by": "ana"}, "note"),
        ({"signed_by": "ana", "note": "Seen it."}, "verdict"),
    ],
    ids=["no note", "no verdict"],
)
async def test_a_form_with_a_gap_is_refused_and_can_then_be_put_right(
    desk: Desk, task_page: FirstInterface, filled: dict[str, str], missing: str
) -> None:
    case = await desk.open("short")
    question = await desk.question(case.number, "judge", within=PATIENCE)
    await task_page.open(question.flow_run_id)
    await _fill_in(task_page, filled)

    said = await task_page.submit()

    assert said["status"] == "REJECT", said
    await expect(task_page.page.get_by_text(f"'{missing}' is a required property").first).to_be_visible()
    assert (await desk.run(question.flow_run_id))["state"]["type"] == "PAUSED"
    waiting = await desk.task(case.number, "judge")
    assert (waiting.state, *_facts(waiting)) == ("open", None, None, None)

    await task_page.open(question.flow_run_id)
    await _fill_in(task_page, {"verdict": "good", "signed_by": "ben", "note": "Now with all of it."})
    said = await task_page.submit()
    assert said["status"] == "ACCEPT", said
    await desk.ends(case.number)
    assert _facts(await desk.task(case.number, "judge")) == ("completed", {"verdict": "good", "count": None}, "ben")


async def test_the_form_shows_what_to_do_and_asks_in_the_order_of_the_sop(
    desk: Desk, task_page: FirstInterface
) -> None:
    case = await desk.open("short")
    question = await desk.question(case.number, "judge", within=PATIENCE)
    await task_page.open(question.flow_run_id)

    await expect(
        task_page.form.get_by_role("heading", name=f"CASE-{case.number} · Judge what was seen")
    ).to_be_visible()
    await expect(task_page.form.get_by_text("owner: role analyst · due 2")).to_be_visible()
    steps = task_page.form.get_by_role("listitem")
    await expect(steps).to_have_text(["Look at the mark.", "Say what it is."])
    # The second UI draws the description first and the fields when it has the schema.
    await expect(task_page.form.locator("label").filter(has_text="Take over").first).to_be_visible()
    assert await task_page.labels() == ["Verdict", "How many (Optional)", "Signed by", "Note", "Take over (Optional)"]


async def _fill_in(task_page: FirstInterface, filled: dict[str, str]) -> None:
    if "verdict" in filled:
        await task_page.choose("Verdict", filled["verdict"])
    if "note" in filled:
        await task_page.write("Note", filled["note"])
    await task_page.choose("Signed by", filled["signed_by"])


def _facts(task: Task) -> tuple[str | None, dict[str, object] | None, str | None]:
    return task.decision, task.form_values, task.signed_by
