"""Several people approve in Prefect, each what they saw; a code that was left out is sent."""

from datetime import UTC, datetime

from sqlalchemy import select

from case_store import cases, codes, find, models, people, tasks
from case_store.actor import Actor
from tests.site import Desk

BY = Actor.system("test")
PHONE = "handle,name,email,phone,roles\nmia,Mia Manager,mia@example.com,+4930901820,incident-manager;manager\n"


async def test_two_sign_and_a_change_of_what_they_sign_asks_anew(desk: Desk) -> None:
    case = await desk.open("signed", "Invoice 7")
    await _released(desk, case)
    first = await desk.question(case.number, "both")
    assert "2 different people must approve this" in await desk.description(first)
    await desk.answer(case.number, "both", decision="approve", signed_by="ana")
    second = await desk.question(case.number, "both", 2)
    assert "so far: ana" in await desk.description(second)

    async with desk.store.transaction() as tx:
        found = await find.case(tx, case.number)
        await cases.edit(tx, found, title="Invoice 8", by=BY, at=datetime.now(UTC))
        assert await tasks.renew(tx, await find.task_of(tx, found, "both"), by=BY, at=datetime.now(UTC))

    third = await desk.question(case.number, "both", 3)
    shown = await desk.description(third)
    assert "Invoice 8" in shown
    assert "so far" not in shown
    closed = await desk.run(second.flow_run_id)
    assert "another form asks about those of now" in closed["state"]["message"]
    await desk.answer(case.number, "both", attempt=3, decision="approve", signed_by="ben")
    await desk.answer(case.number, "both", attempt=4, decision="approve", signed_by="ben")
    refused = await desk.question(case.number, "both", 5)
    assert "ben has approved" in (refused.reason or "")
    await desk.answer(case.number, "both", attempt=5, decision="approve", signed_by="ana")
    await desk.ends(case.number)
    async with desk.store.reading() as tx:
        of_case = select(models.Execution.inputs).where(models.Execution.case_id == case.id)
        assert (await tx.session.scalars(of_case)).all() == [{"word": "Invoice 8"}]


async def test_who_leaves_the_code_empty_gets_one(desk: Desk) -> None:
    case = await desk.open("signed", "With a code")
    await _give_a_phone(desk)
    await desk.answer(case.number, "release", decision="approve", signed_by="mia")
    asked = await desk.question(case.number, "release", 2)
    assert "a code was sent to mia by sms" in (asked.reason or "")
    assert [one["type"] for one in await desk.events(case.number) if one["type"].startswith("code.")] == ["code.sent"]
    assert (await desk.task(case.number, "release")).state == "open"


async def _released(desk: Desk, case: models.Case) -> None:
    await _give_a_phone(desk)
    at = datetime.now(UTC)
    await desk.question(case.number, "release")
    async with desk.store.transaction() as tx:
        task, mia = await find.task_of(tx, case, "release"), await find.person(tx, "mia")
        code = await codes.send(tx, task, mia, away_from="email", by=BY, at=at)
        message = select(models.OutboxEntry).where(models.OutboxEntry.dedup_key.endswith(code.id))
        digits = (await tx.session.scalars(message)).one().context["code"]["digits"]
        assert (await codes.check(tx, task, mia, digits, away_from="email", by=BY, at=at)).verified
        await tasks.approve(tx, task, signed_by=mia, via="cli", by=Actor.person(mia), at=at)


async def _give_a_phone(desk: Desk) -> None:
    async with desk.store.transaction() as tx:
        roles = set(desk.site.library().roles)
        await people.import_(tx, people.parse_csv(PHONE), roles, by=BY, at=datetime.now(UTC))
