"""A person signs in the Prefect UI with a code: a wrong one is asked for again, the right one counts."""

import re
from datetime import UTC, datetime

from playwright.async_api import expect
from sqlalchemy import select

from case_store import codes, find, people
from case_store.actor import Actor
from case_store.audit import private
from case_store.models import AuditEvent, Case
from notifiers.testing.twilio import FakeTwilio
from tests.browser.pages import FirstInterface
from tests.site import Desk, until

PATIENCE = 180.0  # a browser beside the server takes its time
HER_NUMBER = "+4930901820"
PHONE = f"handle,name,email,phone,roles\nmia,Mia Manager,mia@example.com,{HER_NUMBER},incident-manager;manager\n"
BY = Actor.system("test")


async def test_a_wrong_code_is_asked_for_again_and_the_right_one_is_verified(
    desk: Desk, task_page: FirstInterface, phone: FakeTwilio
) -> None:
    case = await desk.open("signed")
    async with desk.store.transaction() as tx:
        roles = set(desk.site.library().roles)
        await people.import_(tx, people.parse_csv(PHONE), roles, by=BY, at=datetime.now(UTC))
    await desk.question(case.number, "release", within=PATIENCE)
    digits = await _code_on_her_phone(desk, case, phone)
    wrong = f"{(int(digits) + 1) % 10**codes.DIGITS:0{codes.DIGITS}}"

    await _approve(desk, task_page, case, 1, wrong)
    again = await desk.question(case.number, "release", 2, within=PATIENCE)
    assert (await desk.task(case.number, "release")).state == "open"
    await task_page.open(again.flow_run_id)
    await expect(task_page.form.get_by_text("Asked again (attempt 2).")).to_be_visible()
    await expect(task_page.form.get_by_text("the code is wrong; it may be tried 4 more times")).to_be_visible()

    await _approve(desk, task_page, case, 2, f"{digits[:4]} {digits[4:]}")
    decided = await desk.becomes(case.number, "release", "done", within=PATIENCE)
    assert (decided.decision, decided.signed_by, decided.decided_via) == ("approved", "mia", "Prefect UI")
    told = await _told(desk, case)
    assert [one["type"] for one in told] == ["code.sent", "code.wrong", "code.verified", "approval.given"]
    assert (told[2]["facts"]["who"], told[2]["facts"]["name"], told[2]["facts"]["channel"]) == (
        "mia",
        "Mia Manager",
        "sms",
    )
    assert (told[3]["facts"]["name"], told[3]["facts"]["verified_by"]) == ("Mia Manager", "sms")

    async def said() -> str | None:
        return (await desk.run(again.flow_run_id))["state"]["message"]

    await until(said, PATIENCE)
    assert await said() == "Approve by mia, verified with a code by sms."


async def _approve(desk: Desk, task_page: FirstInterface, case: Case, attempt: int, code: str) -> None:
    question = await desk.question(case.number, "release", attempt, within=PATIENCE)
    await task_page.open(question.flow_run_id)
    await task_page.choose("Decision", "approve")
    await task_page.choose("Signed by", "mia")
    await task_page.write("Code", code)
    said = await task_page.submit()
    assert said["status"] == "ACCEPT", said


async def _code_on_her_phone(desk: Desk, case: Case, phone: FakeTwilio) -> str:
    """Have a code sent, and read it in the text that the relay has Twilio send to her."""
    before = len(phone.messages)
    async with desk.store.transaction() as tx:
        task, mia = await find.task_of(tx, case, "release"), await find.person(tx, "mia")
        await codes.send(tx, task, mia, away_from="email", by=BY, at=datetime.now(UTC))

    async def arrived() -> str | None:
        texts = [one["body"] for one in phone.messages[before:] if one["to"] == HER_NUMBER]
        found = [digits for text in texts for digits in re.findall(rf"\b[0-9]{{{codes.DIGITS}}}\b", text)]
        return found[-1] if found else None

    await until(arrived, PATIENCE)
    return str(await arrived())


async def _told(desk: Desk, case: Case) -> list[dict]:
    async with desk.store.reading() as tx:
        bodies = select(AuditEvent.body).where(AuditEvent.stream == f"case/{case.id}").order_by(AuditEvent.id)
        found = await private.read(tx, list(await tx.session.scalars(bodies)))
    return [one for one in found if one["type"].startswith(("code.", "approval."))]
