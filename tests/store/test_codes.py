"""Codes to sign with: to whom they go and how, how long they are good, and that the table does not give them away."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from case_store import absence, codes, contacts, find, outbox, tasks
from case_store.lifecycle import NotAllowedNow
from case_store.models import AuditEvent, OutboxEntry, SignOffCode
from case_store.refusals import CodeRequired, MessageRefused, NoOtherChannel, TooManyCodes
from case_store.store import CaseStore, Tx
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, World

BY = {"by": ENGINE, "at": NOW}


@pytest.fixture
async def drill(store: CaseStore) -> World:
    made = await world.build(store)
    async with store.transaction() as tx:
        await tasks.ask(tx, await world.task(tx, made, "report"), parameters=None, due_at=LATER, **BY)
    return made


async def sent(store: CaseStore, drill: World, who: str = "bob", at=NOW, away_from: str | None = "email") -> str:
    """Send a code; returns its digits, as the message has them."""
    async with store.transaction() as tx:
        report = await world.task(tx, drill, "report")
        code = await codes.send(tx, report, drill[who], away_from=away_from, by=ENGINE, at=at)
        message = await tx.session.scalar(select(OutboxEntry).where(OutboxEntry.dedup_key.endswith(code.id)))
    return str(message.context["code"]["digits"])


async def checked(store: CaseStore, drill: World, digits: str, who: str = "bob", at=NOW) -> codes.Checked:
    async with store.transaction() as tx:
        return await codes.check(
            tx, await world.task(tx, drill, "report"), drill[who], digits, away_from="email", by=ENGINE, at=at
        )


async def use(tx: Tx, drill: World, who: str = "bob", at=NOW) -> SignOffCode:
    code = await codes.verified(tx, await world.task(tx, drill, "report"), drill[who], at=at)
    codes.use(code, at=at)
    return code


async def told(store: CaseStore, event: str) -> list[dict]:
    async with store.reading() as tx:
        found = await tx.session.scalars(select(AuditEvent).where(AuditEvent.type == event).order_by(AuditEvent.id))
        return [json.loads(one.body) for one in found]


def another(digits: str) -> str:
    return f"{(int(digits) + 1) % 10**8:08}"


async def test_the_right_code_is_verified_once_for_that_person_and_task(store: CaseStore, drill: World):
    digits = await sent(store, drill)
    assert len(digits) == 8
    assert not (await checked(store, drill, digits, "ada")).verified, "it is Bob's"
    assert (await checked(store, drill, f"{digits[:4]} {digits[4:]}")).verified
    assert (await told(store, "code.verified"))[0]["facts"]["channel"] == "sms"
    async with store.transaction() as tx:
        code = await use(tx, drill)
        tx.record("test.told", None, **BY, case=drill.case.id, facts={"code_id": code.id})
    assert "no code of yours" in (await checked(store, drill, digits)).why
    async with store.transaction() as tx:
        with pytest.raises(CodeRequired):
            await use(tx, drill)


async def test_a_code_that_was_not_entered_signs_nothing(store: CaseStore, drill: World):
    await sent(store, drill)
    async with store.transaction() as tx:
        with pytest.raises(CodeRequired, match="sent to bob"):
            await use(tx, drill)


async def test_five_wrong_tries_end_a_code(store: CaseStore, drill: World):
    digits = await sent(store, drill)
    for left in (4, 3, 2, 1):
        assert f"{left} more times" in (await checked(store, drill, another(digits))).why
    assert "too often" in (await checked(store, drill, "no digits at all")).why
    assert not (await checked(store, drill, digits)).verified
    assert [one["facts"]["wrong"] for one in await told(store, "code.wrong")] == [1, 2, 3, 4, 5]


async def test_a_code_is_good_for_ten_minutes(store: CaseStore, drill: World):
    digits = await sent(store, drill)
    late = NOW + codes.GOOD_FOR
    assert "too old" in (await checked(store, drill, digits, at=late)).why
    assert (await checked(store, drill, digits, at=late - timedelta(seconds=1))).verified
    async with store.transaction() as tx:
        with pytest.raises(CodeRequired):
            await use(tx, drill, at=late)


async def test_a_newer_code_ends_the_older_one(store: CaseStore, drill: World):
    first = await sent(store, drill)
    second = await sent(store, drill, at=NOW + timedelta(minutes=1))
    at = NOW + timedelta(minutes=2)
    if first != second:
        assert not (await checked(store, drill, first, at=at)).verified
    assert (await checked(store, drill, second, at=at)).verified


async def test_codes_do_not_come_in_floods(store: CaseStore, drill: World):
    await sent(store, drill)
    with pytest.raises(TooManyCodes, match="a moment ago"):
        await sent(store, drill, at=NOW + timedelta(seconds=29))
    for minute in range(1, 5):
        await sent(store, drill, at=NOW + timedelta(minutes=minute))
    with pytest.raises(TooManyCodes, match="5 codes"):
        await sent(store, drill, at=NOW + timedelta(minutes=59))
    await sent(store, drill, at=NOW + timedelta(minutes=60))


async def test_a_code_never_goes_the_way_of_the_link(store: CaseStore, drill: World):
    with pytest.raises(NoOtherChannel, match="no channel but email reaches ada"):
        await sent(store, drill, "ada")
    await sent(store, drill, "bob", away_from="sms")
    async with store.reading() as tx:
        assert (await tx.session.scalars(select(SignOffCode.channel))).all() == ["email"]
    async with store.transaction() as tx:
        bob, report = await find.person(tx, "bob"), await world.task(tx, drill, "report")
        await contacts.opt_out(tx, bob, "email", why="no", **BY)
        with pytest.raises(NoOtherChannel):
            await codes.send(tx, report, bob, away_from="sms", by=ENGINE, at=LATER)


async def test_one_whose_deputy_stands_in_gets_the_code_themselves(store: CaseStore, drill: World):
    async with store.transaction() as tx:
        bob = await find.person(tx, "bob")
        await absence.set_away(tx, bob, start=NOW, until=None, deputy=drill.ada, **BY)
    await sent(store, drill)
    async with store.reading() as tx:
        wanted = select(OutboxEntry.recipient_id).where(OutboxEntry.template == "code")
        assert (await tx.session.scalars(wanted)).all() == [drill.bob.id]


async def test_only_what_waits_is_signed(store: CaseStore, drill: World):
    async with store.transaction() as tx:
        with pytest.raises(NotAllowedNow):
            await codes.send(tx, await world.task(tx, drill, "confirm"), drill.bob, away_from=None, **BY)


@pytest.mark.parametrize("result", [outbox.Result("ok", "1"), outbox.Result("permanent", error="550")])
async def test_the_digits_are_nowhere_when_the_message_has_gone(store: CaseStore, drill: World, result: outbox.Result):
    digits = await sent(store, drill)
    async with store.transaction() as tx:
        [message] = [one for one in await outbox.claim(tx, NOW, codes.GOOD_FOR, 9, "t") if one.template == "code"]
        assert message.context["code"] == {"digits": digits, "minutes": 10}
        await outbox.settle(tx, message, result, **BY)
    async with store.reading() as tx:
        rows = [(await tx.session.execute(select(table))).all() for table in SignOffCode.metadata.sorted_tables]
        others = await tx.session.scalars(select(OutboxEntry.channel).where(OutboxEntry.template == "code"))
        assert others.all() == ["sms"], "a code that reaches nobody is not sent another way"
    assert digits not in repr(rows)


async def test_a_code_is_not_sent_again_by_hand(store: CaseStore, drill: World):
    await sent(store, drill)
    async with store.transaction() as tx:
        message = await tx.session.scalar(select(OutboxEntry).where(OutboxEntry.template == "code"))
        await outbox.cancel(tx, message.id, "no", **BY)
        with pytest.raises(MessageRefused, match="is a code"):
            await outbox.retry(tx, message.id, **BY)
