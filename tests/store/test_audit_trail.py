"""The trail is read in order, exported without gaps, and completed with what the engine reports."""

import asyncio
import io
import json
import tracemalloc

import pytest
from sqlalchemy import text

from case_store import audit
from case_store.actor import Actor
from case_store.audit import RunState
from case_store.errors import ConcurrentChange, NotCanonical
from case_store.models import Case
from case_store.store import CaseStore
from tests.store.making import BY, LATER, NOW, add_case, add_person

STATE = RunState(
    state_id="01a20c22-f07f-76e4-8202-15fe1ebbffcc",
    run_kind="flow-run",
    run_id="5f3c",
    run_name="CASE-1",
    state_type="RUNNING",
    state_name="Running",
)


@pytest.fixture
async def cases(store: CaseStore) -> list[Case]:
    """Two cases and a person."""
    async with store.transaction("request-1") as tx:
        first, _, _ = await add_case(tx, 1)
        second, _, _ = await add_case(tx, 2)
        add_person(tx)
    return [first, second]


async def types(store: CaseStore, **options: object) -> list[str]:
    async with store.reading() as tx:
        return [event.type for event in await audit.tail(tx, **options)]


async def someone_waits(store: CaseStore, statement: str) -> bool:
    """Whether a connection of this database waits for a lock, in a statement like this."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE :statement"
    )
    async with store.reading() as tx:
        return bool(await tx.session.scalar(waiting, {"statement": statement}))


class TestTail:
    async def test_gives_the_events_in_order_with_who_and_when(self, store: CaseStore, cases: list[Case]):
        async with store.reading() as tx:
            events = await audit.tail(tx)
        assert [event.type for event in events] == [
            *("case.opened", "stage.planned", "task.planned") * 2,
            "person.added",
        ]
        assert [event.id for event in events] == sorted(event.id for event in events)
        assert (events[0].actor, events[0].at, events[0].stream) == (BY, NOW, f"case/{cases[0].id}")
        assert json.loads(events[0].body)["event_id"] == events[0].event_id

    async def test_goes_on_after_an_id(self, store: CaseStore, cases: list[Case]):
        async with store.reading() as tx:
            first = await audit.tail(tx, limit=5)
            rest = await audit.tail(tx, first[-1].id)
        assert [event.type for event in rest] == ["task.planned", "person.added"]

    async def test_of_one_case(self, store: CaseStore, cases: list[Case]):
        async with store.reading() as tx:
            events = await audit.tail(tx, case=cases[1])
        assert {event.stream for event in events} == {f"case/{cases[1].id}"}
        assert len(events) == 3

    async def test_begins_before_the_last_events(self, store: CaseStore, cases: list[Case]):
        async with store.reading() as tx:
            start = await audit.last_id(tx, before=2)
            assert [event.type for event in await audit.tail(tx, start)] == ["task.planned", "person.added"]
            assert await audit.last_id(tx, before=7) == 0
            assert await audit.tail(tx, await audit.last_id(tx)) == []
            assert len(await audit.tail(tx, await audit.last_id(tx, cases[0], before=1), cases[0])) == 1


class TestExport:
    async def test_is_the_bodies_one_a_line_and_its_own_event_is_the_last(self, store: CaseStore, cases: list[Case]):
        out = io.StringIO()
        done = await audit.export(store, out, by=Actor.person("p-1"), at=LATER, request_id="request-9")
        lines = out.getvalue().splitlines()
        async with store.reading() as tx:
            assert lines == [event.body for event in await audit.tail(tx)]
        last = json.loads(lines[-1])
        assert (len(lines), done.events) == (8, 8)
        assert (last["type"], last["event_id"], last["stream"]) == ("audit.exported", done.event_id, "system")
        assert (last["actor"], last["facts"], last["request_id"]) == (
            {"id": "p-1", "kind": "person"},
            {"scope": "all", "format": "jsonl"},
            "request-9",
        )

    async def test_of_one_case_holds_that_case_only(self, store: CaseStore, cases: list[Case]):
        out = io.StringIO()
        done = await audit.export(store, out, cases[1], by=BY, at=LATER)
        events = [json.loads(line) for line in out.getvalue().splitlines()]
        assert done.events == 4
        assert {event["stream"] for event in events} == {f"case/{cases[1].id}"}
        assert events[-1]["type"] == "audit.exported"
        assert events[-1]["facts"] == {"scope": "case", "case": 2, "format": "jsonl"}

    async def test_that_breaks_off_is_on_record(self, store: CaseStore, cases: list[Case]):
        class Full(io.StringIO):
            def write(self, text: str, /) -> int:
                raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match="No space"):
            await audit.export(store, Full(), by=BY, at=LATER)
        assert (await types(store))[-1] == "audit.exported"

    async def test_keeps_no_more_in_memory_when_there_is_more(self, sqlite_store: CaseStore):
        """The peak of 6,000 events is that of 3,000, and not twice as much."""

        class Nowhere:
            def write(self, text: str, /) -> None:
                """Take it and forget it."""

        async def peak() -> int:
            tracemalloc.start()
            await audit.export(sqlite_store, Nowhere(), by=BY, at=LATER)
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return most

        peaks = []
        for _ in range(2):
            async with sqlite_store.transaction() as tx:
                for _ in range(3000):
                    tx.record("test.wrote", None, by=BY, at=NOW, facts={"words": "x" * 400})
            peaks.append(await peak())
        assert peaks[1] < 1.25 * peaks[0]

    async def test_waits_for_those_who_write_so_that_it_has_no_gap(self, postgres_store: CaseStore):
        """PostgreSQL gives out ids before the commit: a smaller id may appear after a greater one."""
        has_its_id, may_commit = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            async with postgres_store.transaction() as tx:
                tx.record("test.slow", None, by=BY, at=NOW)
                await tx.flush()
                has_its_id.set()
                await may_commit.wait()

        out = io.StringIO()
        writer = asyncio.create_task(slow())
        await has_its_id.wait()
        export = asyncio.create_task(audit.export(postgres_store, out, by=BY, at=LATER))
        while not await someone_waits(postgres_store, "SELECT casewright_hold_events()"):
            assert not export.done()
        may_commit.set()
        await asyncio.gather(writer, export)
        assert [json.loads(line)["type"] for line in out.getvalue().splitlines()] == ["test.slow", "audit.exported"]


class TestRunStates:
    async def test_are_recorded_in_the_stream_of_their_case(self, store: CaseStore, cases: list[Case]):
        async with store.transaction() as tx:
            assert await audit.note_run_states(tx, [(cases[0].id, STATE, LATER)], by=Actor.system("relay"))
        async with store.reading() as tx:
            event = json.loads((await audit.tail(tx))[-1].body)
        assert (event["type"], event["event_id"], event["stream"]) == (
            "run.state",
            STATE.state_id,
            f"case/{cases[0].id}",
        )
        assert event["facts"] == {
            "run_kind": "flow-run",
            "run_id": "5f3c",
            "run_name": "CASE-1",
            "state_type": "RUNNING",
            "state_name": "Running",
            "message": None,
        }

    async def test_are_recorded_once_however_often_they_are_reported(self, store: CaseStore, cases: list[Case]):
        for new in (True, False):
            async with store.transaction() as tx:
                assert await audit.note_run_states(tx, [(cases[0].id, STATE, LATER)], by=BY) == int(new)
        async with store.transaction() as tx:
            assert not await audit.note_run_states(tx, [(None, STATE, LATER)], by=BY)
        assert (await types(store)).count("run.state") == 1

    async def test_reported_by_two_at_once_are_a_concurrent_change_for_one(self, postgres_store: CaseStore):
        """The second has looked before the first committed; it waits for the first, and is told to try again."""
        written, may_commit = asyncio.Event(), asyncio.Event()

        async def first() -> None:
            async with postgres_store.transaction() as tx:
                await audit.note_run_states(tx, [(None, STATE, LATER)], by=BY)
                written.set()
                await may_commit.wait()

        async def second() -> int:
            async with postgres_store.transaction() as tx:
                return await audit.note_run_states(tx, [(None, STATE, LATER)], by=BY)

        one = asyncio.create_task(first())
        await written.wait()
        other = asyncio.create_task(second())
        while not await someone_waits(postgres_store, "INSERT INTO audit_streams%"):
            assert not other.done()
        may_commit.set()
        await one
        with pytest.raises(ConcurrentChange):
            await other
        assert await second() == 0

    async def test_without_a_case_belong_to_the_system(self, store: CaseStore):
        async with store.transaction() as tx:
            await audit.note_run_states(tx, [(None, STATE, LATER)], by=BY)
        async with store.reading() as tx:
            assert [event.stream for event in await audit.tail(tx)] == ["system"]


async def test_streams_follow_the_thing(store: CaseStore, cases: list[Case]):
    async with store.transaction() as tx:
        person = add_person(tx, "bob")
        tx.record("test.noted", None, by=BY, at=NOW, case=cases[0])
        tx.record("test.noted", None, by=BY, at=NOW, case=cases[1].id)
        tx.record("test.noted", None, by=BY, at=NOW)
    async with store.reading() as tx:
        streams = [event.stream for event in (await audit.tail(tx))[-4:]]
    assert streams == [f"person/{person.id}", f"case/{cases[0].id}", f"case/{cases[1].id}", "system"]


async def test_a_refused_event_writes_nothing(store: CaseStore):
    async def work() -> None:
        async with store.transaction() as tx:
            add_person(tx)
            tx.record("test.wrote", None, by=BY, at=NOW, facts={"what": {1, 2}})

    with pytest.raises(NotCanonical, match=r"facts\.what"):
        await work()
    assert await types(store) == []
