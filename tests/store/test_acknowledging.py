"""Who may say that they take care of a task, and who stands in for those who are away."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from case_store import absence, find, notices, tasks
from case_store.lifecycle import NotAllowedNow
from case_store.models import AuditEvent, Person
from case_store.refusals import AbsenceRefused, AlreadyDecided, NotYours
from case_store.store import CaseStore, Tx
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, World

VIA = {"via": "sms", "by": ENGINE, "at": LATER}


@pytest.fixture
async def drill(store: CaseStore) -> World:
    made = await world.build(store)
    async with store.transaction() as tx:
        for key in ("report", "confirm"):
            await tasks.ask(tx, await world.task(tx, made, key), parameters=None, due_at=LATER, by=ENGINE, at=NOW)
    return made


async def acknowledged(tx: Tx, drill: World, key: str, who: str) -> bool:
    return await tasks.acknowledge(tx, await world.task(tx, drill, key), drill[who], **VIA)


@pytest.mark.parametrize(("key", "who"), [("report", "ada"), ("confirm", "bob")])
async def test_the_owner_or_one_of_the_role_does_it_once(store: CaseStore, drill: World, key: str, who: str):
    async with store.transaction() as tx:
        assert await acknowledged(tx, drill, key, who)
        assert not await acknowledged(tx, drill, key, "ada"), "once is enough"
    async with store.reading() as tx:
        task = await world.task(tx, drill, key)
        assert (task.acknowledged_at, task.acknowledged_by_id, task.acknowledged_via) == (LATER, drill[who].id, "sms")
        assert task.state == "open"
        told = await tx.session.scalars(select(AuditEvent).where(AuditEvent.type == "task.acknowledged"))
        assert len(told.all()) == 1


async def test_a_stranger_is_refused_until_they_are_told(store: CaseStore, drill: World):
    async with store.transaction() as tx:
        with pytest.raises(NotYours, match="none of which eve was told"):
            await acknowledged(tx, drill, "report", "eve")
        with pytest.raises(NotYours):
            await acknowledged(tx, drill, "report", "max")
        await notices.overdue(tx, await world.task(tx, drill, "report"), [drill.max], NOW)
        assert await acknowledged(tx, drill, "report", "max")


async def test_a_deputy_may(store: CaseStore, drill: World):
    async with store.transaction() as tx:
        ada = await find.person(tx, "ada")
        await absence.set_away(tx, ada, start=NOW, until=None, deputy=drill.eve, by=ENGINE, at=NOW)
        assert await acknowledged(tx, drill, "report", "eve")


async def test_only_what_waits_is_acknowledged(store: CaseStore, drill: World):
    async with store.transaction() as tx:
        with pytest.raises(NotAllowedNow):
            await acknowledged(tx, drill, "look-around", "ada")
        await tasks.skip(tx, await world.task(tx, drill, "confirm"), "no", signed_by=drill.ada, **VIA)
        with pytest.raises(AlreadyDecided):
            await acknowledged(tx, drill, "confirm", "ada")


async def test_messages_go_to_whoever_stands_in(store: CaseStore, drill: World):
    back = NOW + timedelta(days=3)
    async with store.transaction() as tx:
        ada, bob, mia = [await find.person(tx, handle) for handle in ("ada", "bob", "mia")]
        await absence.set_away(tx, ada, start=NOW, until=back, deputy=bob, by=ENGINE, at=NOW)
        await absence.set_away(tx, bob, start=LATER, until=back, deputy=mia, by=ENGINE, at=NOW)

        async def told(at) -> list[str]:
            return [person.handle for person in await absence.standing_in(tx, [ada], at)]

        assert await told(NOW - timedelta(seconds=1)) == ["ada"]
        assert await told(NOW) == ["bob"]
        assert await told(LATER) == ["mia"], "the deputy of the deputy"
        assert await told(back) == ["ada"]
        assert [one.handle for one in await absence.standing_in(tx, [ada, bob], NOW)] == ["bob"], "each person once"
        await absence.set_away(tx, mia, start=NOW, until=back, deputy=None, by=ENGINE, at=NOW)
        assert await told(LATER) == ["ada"], "when nobody is there, the one whose it is hears of it"
        assert await absence.set_back(tx, ada, by=ENGINE, at=LATER)
        assert not await absence.set_back(tx, ada, by=ENGINE, at=LATER)


async def test_an_absence_that_makes_no_sense_is_refused(store: CaseStore, drill: World):
    async def away(tx: Tx, person: Person, **given: object) -> None:
        await absence.set_away(tx, person, **{"start": NOW, "until": None, "deputy": None, **given}, by=ENGINE, at=NOW)

    async with store.transaction() as tx:
        ada, bob = await find.person(tx, "ada"), await find.person(tx, "bob")
        with pytest.raises(AbsenceRefused, match="end before it begins"):
            await away(tx, ada, until=NOW)
        with pytest.raises(AbsenceRefused, match="ada would stand in for themselves: ada > ada"):
            await away(tx, ada, deputy=ada)
        await away(tx, ada, deputy=bob)
        with pytest.raises(AbsenceRefused, match="bob > ada > bob"):
            await away(tx, bob, deputy=ada)
