"""Nobody is silently not told: people whom nothing reaches, roles that nobody has, doubts, digests that die."""

from datetime import timedelta

import pytest

from case_store import contacts, find, notices, outbox, tasks
from case_store.models import Person
from case_store.notices import Rung
from case_store.outbox import Policy, Result, quota
from case_store.store import CaseStore
from tests.store import world
from tests.store.messages import LEASE, POLICY, RELAY, entries, many, one, try_one, types, urgent
from tests.store.world import ENGINE, LATER, NOW, SYSTEM, World


async def change(store: CaseStore, drill: World, handle: str, **values: object) -> None:
    """Change what is on record about somebody."""
    async with store.transaction() as tx:
        person = await tx.session.get_one(Person, drill[handle].id)
        for name, value in values.items():
            setattr(person, name, value)
        tx.record("person.changed", person, by=SYSTEM, at=NOW)


async def ask(store: CaseStore, drill: World, key: str = "report", to: str | None = None) -> None:
    async with store.transaction() as tx:
        task = await world.task(tx, drill, key)
        if to is not None:
            await tasks.reassign(tx, task, await find.person(tx, to), by=SYSTEM, at=NOW)
        await tasks.ask(tx, task, parameters=None, due_at=LATER, by=ENGINE, at=NOW)


async def look(store: CaseStore, channel: str = "email", policy: Policy = POLICY) -> int:
    """What a lane does before it claims."""
    async with store.transaction() as tx:
        return await outbox.give_up_unreachable(tx, channel, policy, by=RELAY, at=NOW)


class TestWhoeverIsNotReached:
    @pytest.mark.parametrize("why", ["no address is on record", "opted out", "the address is bad", "no longer active"])
    async def test_their_manager_hears_in_their_place(self, store: CaseStore, why: str):
        drill = await world.build(store)
        changed: dict[str, object] = {"manager_id": drill.mia.id, "phone": None}
        if why == "no address is on record":
            changed["email"] = None
        if why == "opted out":
            changed |= {"email": None, "phone": "+4930901820", "opted_out": ["sms"]}
        if why == "the address is bad":
            changed["bad_addresses"] = ["email"]
        await change(store, drill, "bob", **changed)
        await ask(store, drill, to="bob")
        if why == "no longer active":
            await change(store, drill, "bob", active=False)
        channel = "sms" if why == "opted out" else "email"
        assert await look(store, channel) == 1
        dead = await one(store, recipient_id=drill.bob.id)
        assert (dead.state, dead.attempts) == ("dead", 0)
        assert dead.last_error == f"bob is not reached by {channel}: {why}"
        instead = await one(store, recipient_id=drill.mia.id, template="assigned")
        assert (instead.instead_of, instead.context["for_another"], instead.state) == (dead.id, True, "pending")
        assert await entries(store, template="alarm")

    async def test_where_there_is_nobody_else_those_in_charge_hear(self, store: CaseStore):
        drill = await world.build(store)
        await ask(store, drill, to="eve")
        assert await look(store) == 1
        assert {one.recipient_id for one in await entries(store, template="alarm")} == {drill.mia.id, drill.max.id}

    async def test_whoever_opts_out_between_promise_and_sending_gets_a_letter(self, store: CaseStore):
        drill = await urgent(store)
        async with store.transaction() as tx:
            for entry in await entries(store, channel="email"):
                await outbox.cancel(tx, entry.id, "not this one", by=SYSTEM, at=NOW)
            await contacts.opt_out(tx, drill.bob, "sms", by=SYSTEM, at=NOW, why="STOP")
        assert await look(store, "sms") == 1
        assert (await one(store, channel="sms")).attempts == 0, "nobody tried"
        assert await entries(store, recipient_id=drill.mia.id, template="assigned")

    async def test_of_a_role_those_who_can_be_reached_hear(self, store: CaseStore):
        drill = await world.build(store)
        await change(store, drill, "eve", roles=["tier1"])
        await ask(store, drill, "confirm")
        assert {one.recipient_id for one in await entries(store)} == {drill.ada.id, drill.bob.id}


class TestNobodyAtAll:
    """The store's own role for alarms is `incident-manager`."""

    async def in_charge(self, store: CaseStore) -> str:
        async with store.transaction() as tx:
            return world.new_person(tx, "ina", "incident-manager").id

    async def test_an_owner_who_left(self, store: CaseStore):
        drill = await world.build(store)
        await change(store, drill, "ada", active=False, manager_id=drill.mia.id)
        await ask(store, drill)
        assert await look(store) == 1
        assert (await one(store, recipient_id=drill.mia.id, template="assigned")).state == "pending"

    async def test_a_role_that_nobody_has(self, store: CaseStore):
        ina, drill = await self.in_charge(store), await world.build(store)
        for handle in ("ada", "bob"):
            await change(store, drill, handle, roles=[])
        await ask(store, drill, "confirm")
        told = await one(store)
        assert (told.recipient_id, told.template, told.context["for_another"]) == (ina, "assigned", True)
        async with store.transaction() as tx:
            assert await outbox.cancel_needless(tx, by=RELAY, at=NOW) == 0

    async def test_a_rung_that_reaches_nobody(self, store: CaseStore):
        ina, drill = await self.in_charge(store), await world.build(store)
        await ask(store, drill)
        async with store.transaction() as tx:
            task = await world.task(tx, drill, "report")
            assert await notices.escalated(tx, task, [], Rung(1, timedelta()), LATER) == 1
        assert (await one(store, template="escalated")).recipient_id == ina

    async def test_a_room_hears_a_rung_that_reaches_nobody(self, store: CaseStore):
        ina, drill = await self.in_charge(store), await world.build(store)
        await ask(store, drill)
        async with store.transaction() as tx:
            task = await world.task(tx, drill, "report")
            assert await notices.escalated(tx, task, [], Rung(1, timedelta(), "apprise:soc-chat"), LATER) == 1
        told = await one(store, template="escalated")
        assert (told.recipient_id, told.channel) == (ina, "apprise:soc-chat")


class TestDoubt:
    async def test_a_text_in_doubt_is_given_up_when_it_is_of_no_use_any_more(self, store: CaseStore):
        drill = await urgent(store)
        await try_one(store, "email", Result("permanent", error="550"))
        await try_one(store, "sms", Result("unknown", error="cut off", ask_again=timedelta(minutes=1)))
        late = NOW + timedelta(hours=12)
        async with store.reading() as tx:
            assert not await outbox.anything_due(tx, "sms", late)
            assert await outbox.anything_to_end(tx, late)
        await self.expire(store, late)
        text = await one(store, channel="sms", recipient_id=drill.bob.id)
        assert (text.state, text.last_error) == ("dead", "nobody can say whether it arrived; last: cut off")
        assert (await one(store, recipient_id=drill.mia.id, template="assigned")).context["for_another"]
        assert await entries(store, template="alarm")

    async def test_a_letter_in_doubt_goes_once_more_and_then_another_way(self, store: CaseStore):
        drill = await world.build(store, severity="low")
        await ask(store, drill, to="bob")
        await try_one(store, "email", Result("unknown", "<1@x>", error="no receipt"))
        soon = NOW + timedelta(minutes=10)
        await self.expire(store, soon - timedelta(seconds=1))
        assert (await one(store, channel="email")).state == "unknown", "a bounce may come yet"
        await self.expire(store, soon)
        letter = await one(store, channel="email")
        assert (letter.state, letter.resent, letter.next_at) == ("pending", True, soon)
        assert await entries(store, channel="sms") == []
        await try_one(store, "email", Result("unknown", "<1@x>", error="no receipt"), soon)
        await self.expire(store, soon + timedelta(minutes=10))
        assert (await one(store, id=letter.id)).state == "dead"
        assert (await one(store, channel="sms", recipient_id=drill.bob.id)).state == "pending"

    async def test_a_bounce_of_a_letter_in_doubt_is_heard(self, store: CaseStore):
        drill = await world.build(store, severity="low")
        await ask(store, drill, to="bob")
        entry = await try_one(store, "email", Result("unknown", "<1@x>", error="no receipt"))
        async with store.transaction() as tx:
            assert await outbox.receipt(tx, "email", "<1@x>", "failed", by=RELAY, at=NOW, policy=POLICY)
        assert (await one(store, id=entry.id)).state == "dead"
        assert (await one(store, channel="sms", recipient_id=drill.bob.id)).state == "pending"

    async def test_what_was_posted_to_a_room_in_doubt_is_told_another_way(self, store: CaseStore):
        drill = await urgent(store)
        async with store.transaction() as tx:
            task = await world.task(tx, drill, "report")
            await notices.escalated(tx, task, [drill.bob], Rung(1, timedelta(), "slack"), NOW)
        await try_one(store, "slack", Result("unknown", error="cut off"))
        await self.expire(store, NOW + timedelta(minutes=10))
        told = {(one.channel, one.state) for one in await entries(store, template="escalated")}
        assert told == {("slack", "dead"), ("email", "pending")}
        assert drill.bob.id == (await one(store, template="escalated", channel="email")).recipient_id

    async def test_a_provider_that_can_never_be_asked_is_not_asked_for_ever(self, store: CaseStore):
        await urgent(store)
        wait = timedelta(minutes=1)
        await try_one(store, "sms", Result("unknown", error="cut off", ask_again=wait))
        at = NOW
        for _ in range(outbox.MAX_ATTEMPTS - 1):
            at += wait
            await try_one(store, "sms", Result("unknown", error="403", ask_again=wait, not_asked=True), at)
        assert (await one(store, channel="sms")).state == "dead"
        assert "channel.left_alone" not in await types(store), "asking in vain says nothing about the channel"

    async def expire(self, store: CaseStore, at: object) -> None:
        async with store.transaction() as tx:
            await outbox.expire(tx, by=RELAY, at=at, policy=POLICY)


class TestDigests:
    async def test_one_that_dies_lets_what_it_told_fall_over(self, store: CaseStore):
        drill = await world.build(store)
        async with store.transaction() as tx:
            await many(tx, drill.bob, 10, NOW)
            await quota.coalesce(tx, "sms", POLICY, by=RELAY, at=NOW)
            taken = await outbox.claim(tx, NOW, LEASE, 20, "t", channel="sms")
        for entry in taken:
            async with store.transaction() as tx:
                result = Result("permanent" if entry.template == "digest" else "ok", entry.id, error="30007")
                await outbox.settle(tx, entry, result, by=RELAY, at=NOW, policy=POLICY)
        async with store.reading() as tx:
            assert await outbox.anything_to_end(tx, NOW)
        async with store.transaction() as tx:
            assert await outbox.expire(tx, by=RELAY, at=NOW, policy=POLICY) == 8
            assert await outbox.expire(tx, by=RELAY, at=NOW, policy=POLICY) == 0
            assert not await outbox.anything_to_end(tx, NOW)
        letters = await entries(store, channel="email", template="assigned")
        assert {(one.recipient_id, one.state) for one in letters} == {(drill.bob.id, "pending")}
        assert len({one.instead_of for one in letters}) == 8
        assert await entries(store, told_in=taken[-1].id) == []


class TestAlarms:
    @pytest.mark.parametrize("who", ["only the channel that failed", "no channel", "nobody has the role"])
    async def test_a_room_hears_what_those_in_charge_would_not(self, store: CaseStore, who: str):
        drill = await urgent(store)
        for handle in ("mia", "max"):
            gone: dict[str, object] = {"email": None} if who == "no channel" else {}
            await change(
                store, drill, handle, phone=None, roles=[] if who == "nobody has the role" else ["manager"], **gone
            )
        policy = Policy({}, "manager", ("pagerduty", "slack"))
        for _ in range(2):
            async with store.transaction() as tx:
                (entry,) = await entries(store, channel="email", template="assigned", recipient_id=drill.bob.id)
                await outbox.alarms.alarm(tx, entry, "channel", policy, at=NOW)
        alarms = {(one.channel, one.recipient_id) for one in await entries(store, template="alarm")}
        rooms = {recipient for channel, recipient in alarms if channel == "pagerduty"}
        assert len(rooms) == 1, "the first room, once"
        assert (rooms == {drill.bob.id}) == (who == "nobody has the role")
        assert ("email" in {channel for channel, _ in alarms}) == (who == "only the channel that failed")

    async def test_the_room_that_failed_is_not_told_of_its_failure(self, store: CaseStore):
        drill = await urgent(store)
        async with store.transaction() as tx:
            task = await world.task(tx, drill, "report")
            await notices.escalated(tx, task, [drill.bob], Rung(1, timedelta(), "slack"), NOW)
        entry = await one(store, channel="slack")
        async with store.transaction() as tx:
            await outbox.alarms.alarm(tx, entry, "channel", Policy({}, "nobody", ("slack", "teams")), at=NOW)
        assert [one.channel for one in await entries(store, template="alarm")] == ["teams"]


class TestPoison:
    async def test_a_message_that_ends_its_senders_dies_after_eight(self, store: CaseStore):
        drill = await world.build(store)
        await change(store, drill, "bob", manager_id=drill.mia.id)
        await ask(store, drill, to="bob")
        at, deaths = NOW, 0
        while True:
            async with store.transaction() as tx:
                if not await outbox.claim(tx, at, LEASE, 1, f"{at}", channel="email"):
                    break
            deaths, at = deaths + 1, at + LEASE
        assert deaths == outbox.MAX_ATTEMPTS
        async with store.transaction() as tx:
            assert await outbox.expire(tx, by=RELAY, at=at, policy=POLICY) == 1
        dead = await one(store, channel="email", recipient_id=drill.bob.id)
        assert (dead.state, dead.last_error) == ("dead", "8 senders died or hung while they had it")
        assert (await one(store, channel="sms", recipient_id=drill.bob.id)).instead_of == dead.id

    async def test_it_takes_no_others_with_it(self, store: CaseStore):
        drill = await world.build(store)
        async with store.transaction() as tx:
            await many(tx, drill.bob, 6, NOW)
            ids = [one.id for one in await outbox.claim(tx, NOW, LEASE, 6, "t", channel="sms")]
        at, poison = NOW, ids[2]
        for number in range(60):
            at += LEASE
            async with store.transaction() as tx:
                await outbox.expire(tx, by=RELAY, at=at, policy=POLICY)
                taken = await outbox.claim(tx, at, LEASE, 6, f"t{number}", channel="sms")
            for entry in taken:
                if entry.id == poison:
                    break  # the sender dies here, and those behind it are left
                async with store.transaction() as tx:
                    await outbox.settle(tx, entry, Result("ok", entry.id), by=RELAY, at=at, policy=POLICY)
        states = {one.id: one.state for one in await entries(store, channel="sms", template="assigned")}
        assert states == {one: "dead" if one == poison else "sent" for one in ids}

    async def test_waiting_for_its_turn_is_no_try(self, store: CaseStore):
        await urgent(store)
        at = NOW
        for _ in range(outbox.MAX_ATTEMPTS + 2):
            await try_one(store, "sms", Result("temporary", error="no time", not_tried=True), at)
            at = (await one(store, channel="sms")).next_at
        assert (await one(store, channel="sms")).state == "pending"


class TestEarlyReceipts:
    async def test_one_that_overtakes_our_own_note_counts(self, store: CaseStore):
        drill = await urgent(store)
        async with store.transaction() as tx:
            (entry,) = await outbox.claim(tx, NOW, LEASE, 1, "t", channel="sms")
        name = outbox.name_of(entry, NOW)
        assert await self.tell(store, "SM1", "sent", name)
        assert not await self.tell(store, "SM1", "queued", name)
        assert await self.tell(store, "SM1", "delivered", name)
        assert not await self.tell(store, "SM1", "delivered", name)
        async with store.transaction() as tx:
            assert not await outbox.settle(tx, entry, Result("ok", "SM1"), by=RELAY, at=NOW, policy=POLICY)
        found = await one(store, channel="sms")
        assert (found.state, found.provider_ref, found.recipient_id) == ("delivered", "SM1", drill.bob.id)
        told = [kind for kind in await types(store) if kind.startswith("notification.")]
        assert told == ["notification.sent", "notification.receipt", "notification.delivered"]

    async def test_a_handset_out_of_reach_before_our_note(self, store: CaseStore):
        await urgent(store)
        async with store.transaction() as tx:
            (entry,) = await outbox.claim(tx, NOW, LEASE, 1, "t", channel="sms")
        first = outbox.name_of(entry, NOW)
        assert await self.tell(store, "SM1", "undelivered", first, 30003)
        async with store.transaction() as tx:
            assert not await outbox.settle(tx, entry, Result("ok", "SM1"), by=RELAY, at=NOW, policy=POLICY)
        later = NOW + timedelta(minutes=10)
        async with store.transaction() as tx:
            (again,) = await outbox.claim(tx, later, LEASE, 1, "t2", channel="sms")
        assert not await self.tell(store, "SM1", "delivered", first), "that was the try before"
        assert await self.tell(store, "SM2", "delivered", outbox.name_of(again, later))
        assert (await one(store, channel="sms")).state == "delivered"

    async def test_one_about_a_text_in_doubt_settles_it(self, store: CaseStore):
        await urgent(store)
        entry = await try_one(store, "sms", Result("unknown", error="cut off", ask_again=timedelta(minutes=1)))
        assert await self.tell(store, "SM1", "sent", outbox.name_of(entry, NOW))
        assert (await one(store, channel="sms")).state == "sent"

    @pytest.mark.parametrize("name", ["", ".", "x", "x.1", "' OR 1=1", "\ud800.1"])
    async def test_a_name_of_nothing_changes_nothing(self, store: CaseStore, name: str):
        await urgent(store)
        async with store.transaction() as tx:
            await outbox.claim(tx, NOW, LEASE, 1, "t", channel="sms")
        assert not await self.tell(store, "SM1", "delivered", name)

    async def tell(self, store: CaseStore, sid: str, status: str, name: str, code: int | None = None) -> bool:
        async with store.transaction() as tx:
            return await outbox.receipt(tx, "sms", sid, status, by=RELAY, at=NOW, code=code, name=name, policy=POLICY)
