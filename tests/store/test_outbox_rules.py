"""What follows when a message arrives or does not: receipts, other ways, other people, alarms, quota and breaker."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from case_store import cases, outbox, tasks
from case_store.models import Breaker, OutboxEntry, Person
from case_store.outbox import Result, breaker, quota
from case_store.outbox.receipts import RANKS
from case_store.refusals import MessageRefused, NotFound, TextRequired
from case_store.store import CaseStore, Tx
from tests.store import world
from tests.store.messages import LEASE, POLICY, RELAY, entries, many, one, receipt, try_one, types, urgent
from tests.store.world import ENGINE, LATER, NOW, SYSTEM

PHONE = "+4930901820"


class TestReceipts:
    async def test_move_forward_and_never_back(self, store: CaseStore):
        await urgent(store)
        entry = await try_one(store, "sms", Result("ok", "SM1"))
        for status, moves in [("sending", True), ("queued", False), ("sent", True), ("sending", False)]:
            assert await receipt(store, "SM1", status) is moves
        assert await receipt(store, "SM1", "delivered")
        for late in RANKS:
            assert not await receipt(store, "SM1", late)
        found = await one(store, id=entry.id)
        assert (found.state, found.receipt) == ("delivered", "delivered")
        assert (await types(store)).count("notification.delivered") == 1
        assert (await types(store)).count("notification.receipt") == 2

    @given(order=st.lists(st.sampled_from(sorted(RANKS)), max_size=12))
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    async def test_in_any_order_lead_to_the_furthest(self, sqlite_store: CaseStore, order: list[str]):
        store = sqlite_store
        async with store.transaction() as tx:
            person = world.new_person(tx, f"p{datetime.now().timestamp()}", email=None)  # noqa: DTZ005
            entry = OutboxEntry(
                dedup_key=person.handle, channel="sms", recipient_id=person.id, template="test", next_at=NOW
            )
            tx.session.add(entry)
        sent = await try_one(store, "sms", Result("ok", person.handle))
        ranks = []
        for status in order:
            before = ranks[-1] if ranks else -1
            moved = await receipt(store, person.handle, status)
            final = before >= RANKS["delivered"]
            assert moved == (not final and RANKS[status] > before)
            ranks.append(max(before, RANKS[status]))
        state = (await one(store, id=sent.id)).state
        first_final = next((status for status in order if RANKS[status] == RANKS["delivered"]), None)
        assert state == {None: "sent", "delivered": "delivered"}.get(first_final, "dead")

    @pytest.mark.parametrize("code", [30003, 30008])
    async def test_a_handset_out_of_reach_is_tried_once_more_and_then_another_way(self, store: CaseStore, code: int):
        drill = await urgent(store)
        await try_one(store, "email", Result("permanent", error="550"))
        await try_one(store, "sms", Result("ok", "SM1"))
        assert await receipt(store, "SM1", "undelivered", code)
        waiting = await one(store, channel="sms", recipient_id=drill.bob.id)
        assert (waiting.state, waiting.next_at) == ("pending", NOW + timedelta(minutes=10))
        assert not await receipt(store, "SM1", "delivered"), "that was the try before"
        later = NOW + timedelta(minutes=10)
        await try_one(store, "sms", Result("ok", "SM2"), later)
        assert await receipt(store, "SM2", "undelivered", code, later)
        assert (await one(store, channel="sms", recipient_id=drill.bob.id)).state == "dead"
        instead = await one(store, recipient_id=drill.mia.id, template="assigned")
        assert (instead.channel, instead.context["for_another"]) == ("email", True)

    async def test_an_opt_out_is_noted(self, store: CaseStore):
        drill = await urgent(store)
        await try_one(store, "sms", Result("ok", "SM1"))
        await receipt(store, "SM1", "failed", 21610)
        async with store.reading() as tx:
            assert (await tx.session.get_one(Person, drill.bob.id)).opted_out == ["sms"]

    async def test_about_no_message_of_ours_change_nothing(self, store: CaseStore):
        await urgent(store)
        await try_one(store, "sms", Result("ok", "SM1"))
        assert not await receipt(store, "SM9", "delivered")
        assert not await receipt(store, "SM1", "teleported")
        async with store.transaction() as tx:
            assert not await outbox.receipt(tx, "email", "SM1", "delivered", by=RELAY, at=NOW)


class TestFallingOver:
    async def test_no_other_way_while_one_is_under_way(self, store: CaseStore):
        drill = await urgent(store)
        await try_one(store, "sms", Result("permanent", error="21610", opted_out=True))
        assert await entries(store, recipient_id=drill.mia.id, template="assigned") == []
        assert (await one(store, channel="email", recipient_id=drill.bob.id)).state == "pending"

    async def test_the_next_channel_then_the_manager(self, store: CaseStore):
        drill = await urgent(store)
        async with store.transaction() as tx:
            only_mail = await world.task(tx, drill, "report")
            for entry in await tx.session.scalars(select(OutboxEntry).where(OutboxEntry.channel == "sms")):
                await outbox.cancel(tx, entry.id, "not this one", by=SYSTEM, at=NOW)
        await try_one(store, "email", Result("permanent", error="550", bad_address=True))
        instead = await one(store, recipient_id=drill.mia.id, template="assigned")
        dead = await one(store, recipient_id=drill.bob.id, channel="email")
        assert (instead.instead_of, instead.task_id, instead.case_id) == (dead.id, only_mail.id, drill.case.id)
        assert "notification.fell_over" in await types(store)
        async with store.reading() as tx:
            assert (await tx.session.get_one(Person, drill.bob.id)).bad_addresses == ["email"]

    async def test_a_phone_where_no_text_was_promised(self, store: CaseStore):
        drill = await world.build(store, severity="low")
        async with store.transaction() as tx:
            report = await world.task(tx, drill, "report")
            await tasks.reassign(tx, report, drill.bob, by=SYSTEM, at=NOW)
            await tasks.ask(tx, report, parameters=None, due_at=LATER, by=ENGINE, at=NOW)
        await try_one(store, "email", Result("permanent", error="550"))
        text = await one(store, channel="sms", recipient_id=drill.bob.id)
        assert (text.state, text.next_at) == ("pending", NOW)

    async def test_nobody_else_hears_of_what_is_decided(self, store: CaseStore):
        drill = await urgent(store)
        async with store.transaction() as tx:
            (entry,) = await outbox.claim(tx, NOW, LEASE, 1, "t", channel="email")
            await cases.cancel(tx, drill.case, "twice", by=SYSTEM, at=NOW)
        async with store.transaction() as tx:
            await outbox.settle(tx, entry, Result("permanent", error="550"), by=RELAY, at=NOW, policy=POLICY)
        assert await entries(store, template="assigned", recipient_id=drill.mia.id) == []

    async def test_those_in_charge_hear_of_it_once_an_hour_and_never_of_an_alarm(self, store: CaseStore):
        drill = await urgent(store)
        await try_one(store, "sms", Result("permanent", error="550"))
        await try_one(store, "email", Result("permanent", error="550"))
        alarms = await entries(store, template="alarm")
        assert {(one.recipient_id, one.context["alarm"]["channel"]) for one in alarms} == {
            (who.id, channel) for who in (drill.mia, drill.max) for channel in ("sms", "email")
        }
        for _ in alarms:
            await try_one(store, "email", Result("permanent", error="551"), NOW)
            if not await entries(store, state="pending"):
                break
        assert len(await entries(store, template="alarm")) == len(alarms)


class TestNeedless:
    async def test_what_is_decided_is_taken_back(self, store: CaseStore):
        drill = await urgent(store)
        async with store.transaction() as tx:
            await cases.cancel(tx, drill.case, "twice", by=SYSTEM, at=NOW)
            assert await outbox.cancel_needless(tx, by=RELAY, at=NOW) == 2
            assert await outbox.cancel_needless(tx, by=RELAY, at=NOW) == 0
        assert {one.state for one in await entries(store)} == {"cancelled"}
        assert (await types(store)).count("notification.cancelled") == 2

    async def test_the_old_owner_hears_nothing_more(self, store: CaseStore):
        drill = await urgent(store)
        async with store.transaction() as tx:
            await tasks.reassign(tx, await world.task(tx, drill, "report"), drill.ada, by=SYSTEM, at=NOW)
            assert await outbox.cancel_needless(tx, by=RELAY, at=NOW) == 2
        assert {one.state for one in await entries(store, recipient_id=drill.bob.id)} == {"cancelled"}
        assert {one.state for one in await entries(store, recipient_id=drill.ada.id)} == {"pending"}

    async def test_what_is_being_sent_is_left(self, store: CaseStore):
        drill = await urgent(store)
        async with store.transaction() as tx:
            await outbox.claim(tx, NOW, LEASE, 1, "t", channel="sms")
            await cases.cancel(tx, drill.case, "twice", by=SYSTEM, at=NOW)
            assert await outbox.cancel_needless(tx, by=RELAY, at=NOW) == 1
        assert (await one(store, channel="sms")).state == "leased"


class TestByHand:
    async def test_a_dead_message_goes_out_again(self, store: CaseStore):
        await urgent(store)
        dead = await try_one(store, "sms", Result("permanent", error="550"))
        later = NOW + timedelta(days=9)
        async with store.transaction() as tx:
            await outbox.retry(tx, dead.id, by=SYSTEM, at=later)
        await try_one(store, "sms", Result("ok", "SM2"), later)
        assert (await one(store, id=dead.id)).state == "sent"

    @pytest.mark.parametrize("verb", ["retry", "cancel"])
    async def test_what_is_sent_is_neither_sent_again_nor_taken_back(self, store: CaseStore, verb: str):
        await urgent(store)
        sent = await try_one(store, "sms", Result("ok", "SM1"))
        async with store.transaction() as tx:
            with pytest.raises(MessageRefused, match="is sent"):
                await by_hand(tx, verb, sent.id)

    @pytest.mark.parametrize("verb", ["retry", "cancel"])
    async def test_a_message_that_is_not_there(self, store: CaseStore, verb: str):
        await urgent(store)
        async with store.transaction() as tx:
            for ref in ("nothing-like-this", "", "%", "______"):
                with pytest.raises(NotFound, match="no message"):
                    await by_hand(tx, verb, ref)

    async def test_taking_back_needs_a_reason(self, store: CaseStore):
        await urgent(store)
        async with store.transaction() as tx:
            with pytest.raises(TextRequired):
                await outbox.cancel(tx, (await entries(store))[0].id, " ", by=SYSTEM, at=NOW)


async def by_hand(tx: Tx, verb: str, ref: str) -> OutboxEntry:
    if verb == "retry":
        return await outbox.retry(tx, ref, by=SYSTEM, at=NOW)
    return await outbox.cancel(tx, ref, "why", by=SYSTEM, at=NOW)


async def deliver(store: CaseStore, at: datetime, limit: int = 20) -> list[OutboxEntry]:
    """One round of a lane for texts: all of them arrive."""
    async with store.transaction() as tx:
        places = await quota.coalesce(tx, "sms", POLICY, by=RELAY, at=at)
        taken = await outbox.claim(tx, at, LEASE, limit, f"{at} {limit}", channel="sms", among=places)
    for entry in taken:
        async with store.transaction() as tx:
            await outbox.settle(tx, entry, Result("ok", entry.id), by=RELAY, at=at, policy=POLICY)
    return taken


class TestQuota:
    async def test_a_storm_becomes_a_few_texts_and_one_digest(self, store: CaseStore):
        drill = await world.build(store)
        async with store.transaction() as tx:
            await many(tx, drill.bob, 10, NOW)
        sent = await deliver(store, NOW)
        assert sorted(one.template for one in sent) == ["assigned", "assigned", "digest"]
        (digest,) = [one for one in sent if one.template == "digest"]
        assert digest.context["digest"]["count"] == 8
        assert {one.told_in for one in await entries(store, state="cancelled")} == {digest.id}
        assert (await types(store)).count("notification.in_digest") == 8

    async def test_when_no_place_is_left_all_waits_for_one(self, store: CaseStore):
        drill = await world.build(store)
        async with store.transaction() as tx:
            await many(tx, drill.bob, 3, NOW)
        assert len(await deliver(store, NOW)) == 3
        soon = NOW + timedelta(minutes=30)
        async with store.transaction() as tx:
            await many(tx, drill.bob, 5, soon)
        assert await deliver(store, soon) == []
        assert {one.next_at for one in await entries(store, state="pending")} == {NOW + timedelta(hours=1)}
        (later, *more) = sorted(one.template for one in await deliver(store, NOW + timedelta(hours=1, seconds=1)))
        assert (later, more) == ("assigned", ["assigned", "digest"])

    async def test_two_relays_do_not_fill_one_place(self, store: CaseStore):
        drill = await world.build(store)
        async with store.transaction() as tx:
            await many(tx, drill.bob, 12, NOW)
        rounds = await asyncio.gather(*(deliver(store, NOW, limit) for limit in (1, 2, 19, 20)))
        assert sum(map(len, rounds)) == 3
        assert await deliver(store, NOW + timedelta(minutes=59)) == []

    async def test_a_code_waits_for_no_place(self, store: CaseStore):
        drill = await world.build(store)
        async with store.transaction() as tx:
            await many(tx, drill.bob, 3, NOW)
        await deliver(store, NOW)
        async with store.transaction() as tx:
            await many(tx, drill.bob, 1, NOW, "code")
        assert [one.template for one in await deliver(store, NOW)] == ["code"]

    @given(storm=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), min_size=1, max_size=12))
    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    async def test_nobody_gets_more_and_nothing_is_lost(self, sqlite_store: CaseStore, storm: list[tuple[int, int]]):
        store = sqlite_store
        async with store.transaction() as tx:
            person = world.new_person(tx, f"p{datetime.now().timestamp()}", email=None)  # noqa: DTZ005
        at = NOW
        for minutes, count in storm:
            at += timedelta(minutes=minutes)
            async with store.transaction() as tx:
                await many(tx, person, count, at)
            await deliver(store, at)
        for _ in range(4):
            at += timedelta(minutes=61)
            await deliver(store, at)
        mine = await entries(store, recipient_id=person.id)
        sent = sorted(one.tried_at for one in mine if one.state == "sent")
        assert all(late - early >= timedelta(hours=1) for early, late in zip(sent, sent[3:], strict=False))
        digests = {one.id for one in mine if one.template == "digest"}
        assert all(one.state == "sent" or one.told_in in digests for one in mine)
        told = sum(one.context["digest"]["count"] for one in mine if one.template == "digest")
        assert told + sum(one.state == "sent" and one.template != "digest" for one in mine) == sum(n for _, n in storm)


class TestBreaker:
    async def test_five_failures_of_several_messages_open_it_for_all(self, store: CaseStore):
        drill = await world.build(store)
        async with store.transaction() as tx:
            await many(tx, drill.bob, 6, NOW)
        for _ in range(5):
            await try_one(store, "sms", Result("temporary", error="no route"))
        assert await allowed(store, NOW + timedelta(seconds=29)) == 0
        assert await allowed(store, NOW + timedelta(seconds=30)) == 1
        assert "channel.left_alone" in await types(store)
        assert {one.channel for one in await entries(store, template="alarm")} == {"email"}

    async def test_one_message_tries_it_and_success_closes_it(self, store: CaseStore):
        await opened(store)
        at = NOW + timedelta(minutes=5)
        async with store.transaction() as tx:
            assert await breaker.probe(tx, "sms", at, LEASE)
        async with store.transaction() as tx:
            assert not await breaker.probe(tx, "sms", at, LEASE), "somebody tries it"
        assert await allowed(store, at) == 0
        await try_one(store, "sms", Result("ok", "1"), at)
        assert await allowed(store, at) == 20
        assert (await types(store))[-2:].count("channel.works_again") == 1

    async def test_what_was_under_way_when_it_was_opened_says_nothing_new(self, store: CaseStore):
        drill = await world.build(store)
        async with store.transaction() as tx:
            await many(tx, drill.bob, 12, NOW)
            taken = await outbox.claim(tx, NOW, LEASE, 12, "all")
        for entry in taken:
            async with store.transaction() as tx:
                await outbox.settle(tx, entry, Result("temporary", error="no route"), by=RELAY, at=NOW, policy=POLICY)
        assert await allowed(store, NOW + timedelta(seconds=30)) == 1
        assert (await types(store)).count("channel.left_alone") == 1

    async def test_a_failed_try_leaves_it_alone_for_longer(self, store: CaseStore):
        await opened(store)
        waits, at = [], NOW
        for _ in range(5):
            async with store.reading() as tx:
                until = (await tx.session.get_one(Breaker, "sms")).open_until
            assert until is not None
            waits.append((until - at).total_seconds())
            at = until
            async with store.transaction() as tx:
                assert await breaker.probe(tx, "sms", at, LEASE)
            await try_one(store, "sms", Result("temporary", error="no route"), at)
        assert waits == [30, 60, 120, 240, 300]

    async def test_a_channel_at_fault_is_left_alone_at_once_and_no_message_pays_for_it(self, store: CaseStore):
        await urgent(store)
        await try_one(store, "sms", Result("permanent", error="20003", channel_fault=True))
        assert await allowed(store, NOW) == 0
        entry = await one(store, channel="sms")
        assert (entry.state, entry.attempts) == ("pending", 0)

    async def test_one_message_with_a_trouble_of_its_own_opens_nothing(self, store: CaseStore):
        await urgent(store)
        at = NOW
        for _ in range(outbox.MAX_ATTEMPTS):
            await try_one(store, "sms", Result("temporary", error="451"), at)
            at = (await one(store, channel="sms")).next_at
        assert await allowed(store, at) == 20

    @given(life=st.lists(st.tuples(st.sampled_from(["ok", "fails", "at fault"]), st.integers(0, 400)), max_size=25))
    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    async def test_whatever_happens_it_is_open_as_long_as_it_says(
        self, sqlite_store: CaseStore, life: list[tuple[str, int]]
    ):
        """Held against a model in a few lines: failures in a row, how often it was opened, and until when."""
        store, channel, at = sqlite_store, f"c{uuid4().hex[:12]}", NOW
        failures, times_open, until = 0, 0, None
        async with store.transaction() as tx:
            entry = OutboxEntry(
                dedup_key=channel, channel=channel, recipient_id=world.new_person(tx, channel).id, template="test",
                next_at=NOW, attempts=1,
            )  # fmt: skip
            tx.session.add(entry)
        for what, seconds in life:
            at += timedelta(seconds=seconds)
            async with store.transaction() as tx:
                may = await breaker.allowed(tx, channel, at, 20)
                assert may == (20 if until is None else 1 if until <= at else 0)
                if not may:
                    continue
                if may == 1:
                    assert await breaker.probe(tx, channel, at, LEASE)
                    assert not await breaker.probe(tx, channel, at, LEASE)
                if what == "ok":
                    await breaker.worked(tx, channel, by=RELAY, at=at)
                    failures, times_open, until = 0, 0, None
                    continue
                result = Result("temporary", error="x", channel_fault=what == "at fault")
                await breaker.failed(tx, entry, result, POLICY, by=RELAY, at=at)
            failures += 1
            if until is not None or what == "at fault" or failures >= breaker.FAILURES:
                times_open += 1
                until = at + timedelta(seconds=min(300, 30 * 2 ** (times_open - 1)))


async def allowed(store: CaseStore, at: datetime) -> int:
    async with store.reading() as tx:
        return await breaker.allowed(tx, "sms", at, 20)


async def opened(store: CaseStore) -> None:
    drill = await world.build(store)
    async with store.transaction() as tx:
        await many(tx, drill.bob, 20, NOW)
    for _ in range(5):
        await try_one(store, "sms", Result("temporary", error="no route"))
