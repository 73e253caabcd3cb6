"""Every kind of row that belongs to a case is left out for those who may not see the case, also in joins and counts."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from case_store import access, find, notes, observables
from case_store.cases import _link as link_alert
from case_store.models import AuditEvent, Base, Case, Person, Task
from case_store.refusals import NotFound
from case_store.store import CaseStore, Tx
from tests.store import world
from tests.store.every_verb import Scene, running, waiting_alert
from tests.store.world import ENGINE, NOW

OF_CASES = [mapper.class_ for mapper in Base.registry.mappers if "case_id" in mapper.columns]


@pytest.fixture
async def scene(store: CaseStore) -> Scene:
    """A case with something of almost every kind, restricted to Ada."""
    scene = Scene(store, await world.build(store))
    async with store.transaction() as tx:
        case = await find.case(tx, 1)
        await running(tx, scene)
        alert = await waiting_alert(tx, scene)
        await link_alert(tx, case, alert, by=ENGINE, at=NOW)
        await notes.add(tx, case, "a note", author=ENGINE, by=ENGINE, at=NOW)
        await observables.add(tx, case, [("ip", "192.0.2.1")], by=ENGINE, at=NOW)
    async with store.transaction() as tx:
        await access.restrict(tx, await find.case(tx, 1), [await find.person(tx, "ada")], "hush", by=ENGINE, at=NOW)
    return scene


async def _counts(tx: Tx) -> dict[str, int]:
    return {kind.__name__: await tx.session.scalar(select(func.count()).select_from(kind)) or 0 for kind in OF_CASES}


async def _person(tx: Tx, handle: str | None) -> Person | None:
    return await find.person(tx, handle) if handle else None


@pytest.mark.parametrize("handle", ["bob", None])
async def test_nothing_of_it_is_there_for_others(scene: Scene, handle: str | None):
    async with scene.store.reading() as tx:
        whole = await _counts(tx)
        assert sum(count > 0 for count in whole.values()) >= 6, whole
        await access.read_as(tx, await _person(tx, handle))
        assert {name: count for name, count in (await _counts(tx)).items() if count} == {}
        other = aliased(Case)
        assert (await tx.session.execute(select(Task, other).join(other, other.id == Task.case_id))).all() == []
        assert await tx.session.get(Case, scene.drill.case.id) is None
        assert await tx.session.scalar(select(func.max(Case.number))) is None
        of_case = select(AuditEvent).where(AuditEvent.stream.like("case/%"))
        assert (await tx.session.scalars(of_case)).all() == []
        with pytest.raises(NotFound):
            await find.case(tx, 1)


async def test_all_of_it_is_there_for_those_who_may_see_it(scene: Scene):
    async with scene.store.reading() as tx:
        whole = await _counts(tx)
        met = await access.read_as(tx, await find.person(tx, "ada"))
        assert await _counts(tx) == whole
        assert met.seen == set()
        await find.case(tx, 1)
        assert (met.seen, met.refused) == ({scene.drill.case.id}, set())


async def test_its_owner_and_auditors_see_it_and_who_is_gone_does_not(scene: Scene):
    async with scene.store.transaction() as tx:
        bob, ada = await find.person(tx, "bob"), await find.person(tx, "ada")
        bob.roles = [*bob.roles, access.AUDITOR]
        tx.record("person.changed", bob, by=ENGINE, at=NOW)
        ada.active = False
        tx.record("person.changed", ada, by=ENGINE, at=NOW)
    async with scene.store.reading() as tx:
        assert (await access.read_as(tx, await find.person(tx, "bob"))).hidden == frozenset()
    async with scene.store.reading() as tx:
        assert (await access.read_as(tx, await find.person(tx, "ada"))).hidden == {scene.drill.case.id}


async def test_whoever_changes_something_cannot_name_it_and_verbs_see_every_row(scene: Scene):
    async with scene.store.transaction() as tx:
        whole = await _counts(tx)
        met = await access.read_as(tx, await find.person(tx, "bob"), looks=False)
        assert await _counts(tx) == whole
        for ask in (
            find.case(tx, 1),
            find.case(tx, 1, lock=True),
            find.task(tx, (await world.task(tx, scene.drill, "report")).id),
        ):
            with pytest.raises(NotFound):
                await ask
        assert met.refused == {scene.drill.case.id}


async def test_without_a_reader_nothing_is_hidden(scene: Scene):
    async with scene.store.reading() as tx:
        assert (await find.case(tx, 1)).restricted_to
