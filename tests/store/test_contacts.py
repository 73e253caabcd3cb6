"""Who opted out, and whose address reaches nobody."""

import pytest
from sqlalchemy import select

from case_store import audit, contacts, find, people, tasks
from case_store.audit import private
from case_store.models import AuditEvent, OutboxEntry, Person
from case_store.refusals import NoSuchChannel
from case_store.store import CaseStore
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, SYSTEM, World

BOB = "handle,name,email,phone,roles\nbob,Bob,{},{},tier1\n"


async def person(store: CaseStore, drill: World, handle: str = "bob") -> Person:
    async with store.reading() as tx:
        return await find.person(tx, drill[handle].id)


async def asked(store: CaseStore, severity: str = "critical") -> World:
    return await world.build(store, severity=severity)


async def told(store: CaseStore, drill: World, key: str = "confirm") -> set[tuple[str, str]]:
    """Ask for a task of bob's role; returns who is told, by what."""
    async with store.transaction() as tx:
        await tasks.ask(tx, await world.task(tx, drill, key), parameters=None, due_at=LATER, by=ENGINE, at=NOW)
    async with store.reading() as tx:
        wanted = select(Person.handle, OutboxEntry.channel).join(Person, Person.id == OutboxEntry.recipient_id)
        return {(handle, channel) for handle, channel in await tx.session.execute(wanted)}


async def test_whoever_opted_out_is_told_another_way(store: CaseStore):
    drill = await asked(store)
    async with store.transaction() as tx:
        assert await contacts.opt_out(tx, drill.bob, "sms", by=SYSTEM, at=NOW, why="answered STOP")
        assert not await contacts.opt_out(tx, drill.bob, "sms", by=SYSTEM, at=NOW, why="again")
    assert (await person(store, drill)).opted_out == ["sms"]
    assert await told(store, drill) == {("ada", "email"), ("bob", "email")}


async def test_whoever_opts_in_again_gets_texts_again(store: CaseStore):
    drill = await asked(store)
    async with store.transaction() as tx:
        await contacts.opt_out(tx, drill.bob, "sms", by=SYSTEM, at=NOW, why="answered STOP")
        assert await contacts.opt_in(tx, drill.bob, "sms", by=SYSTEM, at=NOW, why="answered START")
        assert not await contacts.opt_in(tx, drill.bob, "sms", by=SYSTEM, at=NOW, why="again")
    assert (await person(store, drill)).opted_out is None
    assert ("bob", "sms") in await told(store, drill)


async def test_a_bad_address_is_not_used_until_there_is_a_new_one(store: CaseStore):
    drill = await asked(store, "low")
    async with store.transaction() as tx:
        assert await contacts.mark_bad(tx, drill.bob, "email", by=SYSTEM, at=NOW, why="550 no such user")
    assert contacts.channels_of(await person(store, drill)) == ["sms"]
    assert ("bob", "sms") in await told(store, drill), "a phone is better than nothing, urgent or not"
    async with store.transaction() as tx:
        rows = people.parse_csv(BOB.format("bob@new.example.org", "+4930901820"))
        await people.import_(tx, rows, {"tier1"}, by=SYSTEM, at=LATER)
    found = await person(store, drill)
    assert (found.bad_addresses, contacts.channels_of(found)) == (None, ["email", "sms"])


async def test_a_list_with_the_same_address_does_not_make_it_good(store: CaseStore):
    drill = await asked(store)
    async with store.transaction() as tx:
        await contacts.mark_bad(tx, drill.bob, "email", by=SYSTEM, at=NOW, why="550")
        rows = people.parse_csv(BOB.format("bob@example.org", ""))
        await people.import_(tx, rows, {"tier1"}, by=SYSTEM, at=LATER)
    assert (await person(store, drill)).bad_addresses == ["email"]
    async with store.transaction() as tx:
        assert await contacts.mark_good(tx, drill.bob, "email", by=SYSTEM, at=NOW, why="tried")
    assert (await person(store, drill)).bad_addresses is None


async def test_it_is_on_record_with_the_reason_and_the_reason_is_personal(store: CaseStore):
    drill = await asked(store)
    async with store.transaction() as tx:
        await contacts.opt_out(tx, drill.bob, "sms", by=SYSTEM, at=NOW, why="told Ada on the phone")
    async with store.reading() as tx:
        event = await tx.session.scalar(select(AuditEvent).where(AuditEvent.type == "person.opted_out"))
        assert event is not None
        assert "phone" not in event.body
        (body,) = await private.read(tx, [event.body])
    assert (body["facts"]["channel"], body["facts"]["why"]) == ("sms", "told Ada on the phone")
    assert [one.type for one in await trail(store)][-1] == "person.opted_out"


async def trail(store: CaseStore) -> list[audit.TrailEvent]:
    async with store.reading() as tx:
        return await audit.tail(tx, 0, limit=1000)


@pytest.mark.parametrize("channel", ["", "SMS", "e mail", "x" * 41, "sms;"])
async def test_a_channel_has_a_name(store: CaseStore, channel: str):
    drill = await asked(store)
    async with store.transaction() as tx:
        with pytest.raises(NoSuchChannel) as refused:
            await contacts.opt_out(tx, drill.bob, channel, by=SYSTEM, at=NOW, why="x")
    assert "next: " in refused.value.diagnostics()


@pytest.mark.parametrize("language", ["deutsch", "DE", "d", "../en"])
async def test_a_language_is_a_code(store: CaseStore, language: str):
    rows = people.parse_csv(f"handle,name,language\nzoe,Zoe,{language}\n")
    async with store.transaction() as tx:
        with pytest.raises(people.PeopleRefused, match="language"):
            await people.import_(tx, rows, set(), by=SYSTEM, at=NOW)


async def test_the_language_of_a_person_comes_with_the_list(store: CaseStore):
    rows = people.parse_csv("handle,name,language\nzoe,Zoe,de-CH\n")
    async with store.transaction() as tx:
        await people.import_(tx, rows, set(), by=SYSTEM, at=NOW)
        assert (await find.person(tx, "zoe")).language == "de-CH"
        again = await people.import_(tx, rows, set(), by=SYSTEM, at=NOW)
    assert again.unchanged == ("zoe",)
