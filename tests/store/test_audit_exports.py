"""Exports of selections, in formats, and from where one was interrupted."""

import csv
import io
import json
from datetime import timedelta

import pytest

from case_store import audit, notes, privacy
from case_store.actor import Actor
from case_store.audit import Selection, exports, keys, sequencer
from case_store.audit.formats import FORMATS
from case_store.errors import NoSuchExport
from case_store.models import Case
from case_store.store import CaseStore
from tests.store.making import BY, LATER, NOW, add_case, add_person

RELAY = Actor.system("relay")


@pytest.fixture
async def cases(store: CaseStore) -> list[Case]:
    """Two cases and a person; the relay says a word about each case, an hour after the other events."""
    async with store.transaction("request-1") as tx:
        made = [(await add_case(tx, number))[0] for number in (1, 2)]
        add_person(tx)
    async with store.transaction("request-2") as tx:
        for case in made:
            tx.record("test.told", None, by=RELAY, at=NOW + timedelta(hours=1), case=case)
    return made


async def exported(
    store: CaseStore, selection: Selection, form: str = "jsonl", by: Actor = BY, *, personal: bool = True
) -> str:
    out = io.StringIO(newline="")
    at = NOW + timedelta(days=1)
    await audit.export(store, out, selection=selection, form=FORMATS[form], personal=personal, by=by, at=at)
    return out.getvalue()


async def types(store: CaseStore, **selection: object) -> list[str]:
    lines = (await exported(store, Selection(**selection))).splitlines()
    return [json.loads(line)["type"] for line in lines]


class TestSelections:
    """Of a case, of a time, of an actor; together they narrow. The event of the export is always the last line."""

    async def test_of_a_time_takes_its_begin_and_leaves_its_end(self, store: CaseStore, cases: list[Case]):
        all_of_it = await types(store)
        assert len(all_of_it) == 10
        hour = NOW + timedelta(hours=1)
        assert await types(store, since=hour, until=LATER + timedelta(hours=5)) == ["test.told"] * 2 + [
            "audit.exported"
        ]
        assert await types(store, until=hour) == [*all_of_it[:7], "audit.exported"]
        assert await types(store, since=NOW, until=NOW) == ["audit.exported"]

    async def test_of_an_actor(self, store: CaseStore, cases: list[Case]):
        assert await types(store, actor=RELAY) == ["test.told"] * 2 + ["audit.exported"]
        assert await types(store, actor=Actor.person("relay")) == ["audit.exported"]

    async def test_together(self, store: CaseStore, cases: list[Case]):
        lines = (await exported(store, Selection(case=cases[1], actor=RELAY, since=NOW))).splitlines()
        told, itself = map(json.loads, lines)
        assert (told["type"], told["stream"]) == ("test.told", f"case/{cases[1].id}")
        assert (itself["type"], itself["stream"]) == ("audit.exported", f"case/{cases[1].id}")
        assert itself["facts"] == {
            "scope": "case",
            "case": 2,
            "actor": "system:relay",
            "since": "2026-03-02T09:30:00.123456Z",
            "format": "jsonl",
        }


class TestFormats:
    """Other formats say names for ids, and the place of an event in the tree once it is sealed."""

    async def test_names_of_people_and_cases(self, store: CaseStore, cases: list[Case]):
        async with store.transaction() as tx:
            ann = add_person(tx, "ben")
            await tx.flush()
            tx.record("test.said", None, by=Actor.person(ann), at=LATER, case=cases[1])
        rows = list(csv.DictReader(io.StringIO(await exported(store, Selection(case=cases[1]), "csv"), newline="")))
        assert {row["of"] for row in rows} == {"CASE-2"}
        assert [row["actor"] for row in rows if row["type"] == "test.said"] == ["ben"]
        assert rows[-1]["actor"] == str(BY)

    async def test_places_of_sealed_events_alone(self, store: CaseStore, cases: list[Case], tmp_path):
        await sequencer.seal(store, keys.load_or_create(tmp_path / "keys"), NOW)
        lines = (await exported(store, Selection(), "ocsf")).splitlines()
        places = [json.loads(line)["metadata"].get("sequence") for line in lines]
        assert places == [*range(9), None]

    async def test_a_format_with_nothing_to_say_is_whole(self, store: CaseStore, cases: list[Case]):
        document = json.loads(await exported(store, Selection(), "case-uco"))
        assert [node["@type"] for node in document["@graph"]] == ["uco-tool:Tool"]


class TestGoingOn:
    """An export that was interrupted goes on behind an event, with what was on record when it began."""

    @pytest.mark.parametrize("form", ["jsonl", "csv"])
    async def test_is_the_rest_and_nothing_that_came_later(self, store: CaseStore, cases: list[Case], form: str):
        selection = Selection()
        begun = await exports.begin(store, selection, form, by=BY, at=LATER)
        whole = [one async for one in exports.lines(store, selection, FORMATS[form], begun)]
        async with store.transaction() as tx:
            tx.record("test.later", None, by=BY, at=LATER)
        await exports.resume(store, begun, selection, by=RELAY, at=LATER)
        for done, (place, _) in enumerate(whole, 1):
            rest = exports.lines(store, selection, FORMATS[form], begun, after=place)
            assert [one async for one in rest] == whole[done:]
        assert len(whole) == 10

    async def test_is_on_record_with_who_went_on(self, store: CaseStore, cases: list[Case]):
        begun = await exports.begin(store, Selection(case=cases[0]), "csv", by=BY, at=LATER)
        await exports.resume(store, begun, Selection(case=cases[0]), by=RELAY, at=LATER)
        async with store.reading() as tx:
            last = (await audit.tail(tx, case=cases[0]))[-1]
        assert (last.type, last.actor) == ("audit.export_resumed", RELAY)
        assert json.loads(last.body)["facts"] == {"export": begun.event_id}

    async def test_needs_the_database_of_then(self, store: CaseStore, cases: list[Case]):
        begun = await exports.begin(store, Selection(), "csv", by=BY, at=LATER)
        for other in (exports.Begun("some-other", begun.last), exports.Begun(begun.event_id, begun.last - 1)):
            with pytest.raises(NoSuchExport, match="not on record here"):
                await exports.resume(store, other, Selection(), by=BY, at=LATER)


class TestPersonalValues:
    """Formats for people and SIEMs show what is disclosed; the record itself has the commitments."""

    @pytest.mark.parametrize("form", sorted(FORMATS.keys() - {"jsonl", "case-uco"}))
    async def test_are_shown_unless_somebody_wants_them_left_out(self, store: CaseStore, cases: list[Case], form: str):
        shown = await exported(store, Selection(case=cases[0]), form)
        assert "Odd mail" in shown
        without = await exported(store, Selection(case=cases[0]), form, personal=False)
        assert ("Odd mail" in without, "(withheld)" in without) == (False, True)

    async def test_that_were_erased_are_withheld(self, store: CaseStore, cases: list[Case]):
        async with store.transaction() as tx:
            note = await notes.add(tx, cases[0], "Lena clicked on it.", author=BY, by=BY, at=NOW)
        assert "Lena clicked" in await exported(store, Selection(case=cases[0]), "csv")
        async with store.transaction() as tx:
            await privacy.redact(tx, cases[0], note.id, basis="test", by=BY, at=LATER)
        told = await exported(store, Selection(case=cases[0]), "csv")
        assert ("Lena clicked" in told, "Odd mail" in told, "(withheld)" in told) == (False, True, True)

    async def test_are_never_in_json_lines_and_the_event_of_the_export_says_which(self, store: CaseStore, cases):
        lines = await exported(store, Selection(case=cases[0]))
        assert ("Odd mail" in lines, '{"_sd":' in lines) == (False, True)
        assert "personal" not in json.loads(lines.splitlines()[-1])["facts"]
        for personal in (True, False):
            told = await exported(store, Selection(case=cases[0]), "ecs", personal=personal)
            assert f'"personal\\":{str(personal).lower()}' in told.splitlines()[-1]
