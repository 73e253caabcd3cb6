"""The list of people: taken whole, or refused with every mistake."""

import asyncio

import pytest
from sqlalchemy import func, select

from case_store import audit, find, people
from case_store.actor import Actor
from case_store.models import Person
from case_store.people import Imported, parse_csv
from case_store.refusals import NotFound, PeopleRefused
from case_store.store import CaseStore
from tests.store import world
from tests.store.world import LATER, NOW

BY = Actor.system("import")
ROLES = frozenset({"tier1", "manager"})
LIST = """handle,name,email,phone,manager,roles,time_zone
ada,Ada Lovelace,Ada@Example.ORG,,mia,tier1,Europe/London
mia,Mia,mia@soc.internal,+49 30 901820,,manager;tier1,
bob,Bob,,,mia,,
"""


async def import_(store: CaseStore, text: str, at=NOW) -> Imported:
    async with store.transaction() as tx:
        return await people.import_(tx, parse_csv(text), ROLES, by=BY, at=at)


async def problems(store: CaseStore, text: str) -> list[str]:
    with pytest.raises(PeopleRefused) as refused:
        await import_(store, text)
    async with store.reading() as tx:
        assert await tx.session.scalar(select(func.count()).select_from(Person)) == 0
    return refused.value.problems


async def test_people_are_added(store: CaseStore):
    assert await import_(store, LIST) == Imported(new=("ada", "mia", "bob"), changed=(), unchanged=())
    async with store.reading() as tx:
        ada, mia = await find.person(tx, "ada"), await find.person(tx, "mia")
        assert (ada.name, ada.email, ada.phone, ada.roles) == ("Ada Lovelace", "Ada@example.org", None, ["tier1"])
        assert (ada.manager_id, ada.time_zone, ada.active) == (mia.id, "Europe/London", True)
        assert (mia.email, mia.phone, mia.roles) == ("mia@soc.internal", "+4930901820", ["manager", "tier1"])
        assert [one.handle for one in await find.people_with_role(tx, "tier1")] == ["ada", "mia"]
        assert [event.type for event in await audit.tail(tx)] == ["person.added"] * 3


async def test_the_list_again_changes_what_is_different(store: CaseStore):
    await import_(store, LIST)
    text = LIST.replace("Ada Lovelace", "Ada King").replace("bob,Bob,,,mia", "bob,Bob,,,ada")
    assert await import_(store, text, LATER) == Imported(new=(), changed=("ada", "bob"), unchanged=("mia",))
    async with store.reading() as tx:
        assert (await find.person(tx, "ada")).name == "Ada King"
        assert (await find.person(tx, "bob")).manager_id == (await find.person(tx, "ada")).id
        assert [event.type for event in await audit.tail(tx)][3:] == ["person.changed"] * 2


async def test_who_is_not_in_the_list_stays(store: CaseStore):
    await import_(store, LIST)
    await import_(store, "handle,name,manager\neve,Eve,mia\n")
    async with store.reading() as tx:
        assert (await find.person(tx, "eve")).manager_id == (await find.person(tx, "mia")).id
        assert (await find.person(tx, "ada")).roles == ["tier1"]


async def test_two_imports_at_once_add_everybody_once(store: CaseStore):
    results = await asyncio.gather(import_(store, LIST), import_(store, LIST))
    assert sorted(len(result.new) for result in results) == [0, 3]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("x y,Name,,,,,", "line 2: the handle 'x y' must be letters"),
        (",Name,,,,,", "line 2: the handle '' must be letters"),
        ("eve,,,,,,", "line 2: the name is empty"),
        ("eve,Eve,eve@,,,,", "line 2: the e-mail address 'eve@' cannot be used"),
        ('eve,Eve,"a@b.example>\r\nRCPT TO:<evil@x",,,,', "line 3: the e-mail address"),
        ("eve,Eve,,030 901820,,,", "line 2: the phone number '030 901820' cannot be used: write it with its country"),
        ("eve,Eve,,+49,,,", "line 2: the phone number"),
        ("eve,Eve,,+1 555 0100,,,", "line 2: the phone number"),
        ("eve,Eve,,,zoe,,", "line 2: the manager 'zoe' is neither in this list nor on record"),
        ("eve,Eve,,,eve,,", "line 2: eve would be their own manager, through eve"),
        ("eve,Eve,,,,chef,", "line 2: the role 'chef' is in no roles.yaml; known are manager, tier1"),
        ("eve,Eve,,,,,Mars/Base", "line 2: the time zone 'Mars/Base' is not known"),
        ("eve,Eve,,,,,../../etc/passwd", "line 2: the time zone"),
        ("eve,Eve,,,,,/etc/localtime", "line 2: the time zone"),
        ("eve,Eve,,,,,,extra", "line 2: more fields than the header has columns"),
    ],
)
async def test_each_mistake_is_said_with_its_line(store: CaseStore, line: str, problem: str):
    found = await problems(store, f"handle,name,email,phone,manager,roles,time_zone\n{line}\n")
    assert len(found) == 1
    assert found[0].startswith(problem)


async def test_all_mistakes_are_said_at_once(store: CaseStore):
    text = LIST + "ada,Ada,ada@example.org,,,,\neve,,x,,nobody,,\n"
    found = await problems(store, text)
    assert found[:2] == ["line 6: the name is empty", found[1]]
    assert found[1].startswith("line 6: the e-mail address 'x'")
    assert "line 5: ada is already in line 2" in found
    assert "line 5: the e-mail address ada@example.org is already in line 2" in found


async def test_nobody_is_their_own_manager_through_others(store: CaseStore):
    await import_(store, LIST)
    with pytest.raises(PeopleRefused, match="line 2: mia would be their own manager, through ada > mia"):
        await import_(store, "handle,name,manager\nmia,Mia,ada\n")


async def test_an_address_names_one_person(store: CaseStore):
    await import_(store, LIST)
    with pytest.raises(PeopleRefused, match=r"e-mail address MIA@soc.internal is already that of mia"):
        await import_(store, "handle,name,email\nmax,Max,MIA@soc.internal\n")
    swapped = "handle,name,email\nmia,Mia,ada@example.org\nada,Ada,mia@soc.internal\n"
    assert (await import_(store, swapped)).changed == ("mia", "ada")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: there is no column 'handle'"),
        ("name,email\n", "line 1: there is no column 'handle'"),
        ("handle,name,salary\n", "line 1: unknown column 'salary'; known are handle, name"),
        ("handle,name,name\n", "line 1: the column 'name' is there twice"),
        ("\r0", "line 1: new-line character seen"),
        ('handle,name\n"ada,Ada\n', "line 2: unexpected end of data"),
    ],
)
def test_what_is_no_list_of_people(text: str, problem: str):
    with pytest.raises(PeopleRefused) as refused:
        parse_csv(text)
    assert refused.value.problems[0].startswith(problem)
    assert refused.value.next_step


def test_a_spreadsheets_byte_order_mark_and_blanks_are_forgiven():
    (row,) = parse_csv("\ufeffhandle , name\r\n ada , Ada \r\n")
    assert (row.line, row.values) == (2, {"handle": "ada", "name": "Ada"})


async def test_a_person_is_found_by_handle_mail_or_id(store: CaseStore):
    await import_(store, LIST)
    async with store.reading() as tx:
        ada = await find.person(tx, "ada")
        assert await find.person(tx, "ADA@example.org") is ada
        assert await find.person(tx, ada.id) is ada
        with pytest.raises(NotFound, match="nobody is called 'zoe'") as refused:
            await find.person(tx, "zoe")
        assert refused.value.next_step == "known are ada, bob, mia"


async def test_what_is_not_there_is_said_with_what_is(store: CaseStore):
    async with store.reading() as tx:
        with pytest.raises(NotFound, match="there is no case 12") as refused:
            await find.case(tx, 12)
        assert refused.value.next_step == "open one: casewright case open"
        with pytest.raises(NotFound) as refused:
            await find.person(tx, "ada")
        assert "import" in refused.value.next_step
        for finder in (find.alert, find.evidence, find.task):
            with pytest.raises(NotFound):
                await finder(tx, "nothing")


async def test_what_a_case_has_is_said(store: CaseStore):
    drill = await world.build(store)
    async with store.reading() as tx:
        for ref in (1, "1", "CASE-1", "case-1", drill.case.id):
            assert (await find.case(tx, ref)).id == drill.case.id
        with pytest.raises(NotFound, match="there is no case CASE-2") as refused:
            await find.case(tx, "CASE-2")
        assert refused.value.next_step.startswith("the newest is CASE-1")
        with pytest.raises(NotFound, match="CASE-1 has no task 'confirn'") as refused:
            await find.task_of(tx, drill.case, "confirn")
        assert refused.value.next_step == "it has extract, confirm, look-around, report, block, sign-off, tidy"
        with pytest.raises(NotFound, match="CASE-1 has no stage 'triage'") as refused:
            await find.stage_of(tx, drill.case, "triage")
        assert refused.value.next_step == "it has analyse, contain"
