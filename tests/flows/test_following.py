"""Every state of every run of a case is on record exactly once, whatever the relay has slept through."""

import asyncio
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from case_store import audit
from case_store.actor import Actor
from case_store.audit import RunState
from tests.site import ROOT, Desk, Site, desk_at, postgres_site_in, site_in, until

JUDGED = {"verdict": "bad", "count": 3, "note": "Seen it.", "signed_by": "ana"}
DONE = {"decision": "done", "signed_by": "ana"}
DIFFER = 20

_STATES = """
SELECT s.id, 'flow-run', s.type, s.name FROM flow_run_state s JOIN flow_run r ON r.id = s.flow_run_id
WHERE EXISTS (SELECT 1 FROM json_each(r.tags) WHERE value = ?)
UNION ALL
SELECT s.id, 'task-run', s.type, s.name FROM task_run_state s JOIN task_run t ON t.id = s.task_run_id
JOIN flow_run r ON r.id = t.flow_run_id
WHERE EXISTS (SELECT 1 FROM json_each(r.tags) WHERE value = ?)
"""


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose worker runs; the relay is each test's own."""
    with site_in(tmp_path_factory.mktemp("lone"), "worker") as one:
        yield one


@pytest.fixture
async def alone(lone: Site) -> AsyncIterator[Desk]:
    """A desk at that site; relays that the test started are ended."""
    async with desk_at(lone) as one:
        yield one
    for name in ("relay", "relay@2", "deaf-relay", "mute-relay"):
        lone.kill(name)


def _in_prefect(site: Site, number: int) -> set[tuple[str, str, str, str]]:
    """Return all states of a case's runs as Prefect's database has them: id, kind of run, type, name."""
    file = Path(site.environment["PREFECT_HOME"]) / "prefect.db"
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)
    try:
        return set(connection.execute(_STATES, [f"case:{number}"] * 2))
    finally:
        connection.close()


async def _on_record(desk: Desk, number: int) -> Counter[tuple[str, str, str, str]]:
    events = [event for event in await desk.events(number) if event["type"] == "run.state"]
    return Counter(
        (event["event_id"], event["facts"]["run_kind"], event["facts"]["state_type"], event["facts"]["state_name"])
        for event in events
    )


async def _all_once(desk: Desk, number: int) -> Counter[tuple[str, str, str, str]]:
    """Wait until the record has what Prefect's database has, and return it."""

    async def same() -> Counter[tuple[str, str, str, str]] | None:
        there, here = _in_prefect(desk.site, number), await _on_record(desk, number)
        return here if there == here.keys() else None

    await _runs_end(desk, number)
    found = await until(same)
    assert set(found.values()) == {1}
    return found


async def _runs_end(desk: Desk, number: int) -> None:
    async def over() -> bool:
        return not [run for run in await desk.runs(tags={"all_": [f"case:{number}"]}) if not run["end_time"]]

    await until(over)


async def _carry_out_short(desk: Desk) -> int:
    case = await desk.open("short")
    await desk.answer(case.number, "judge", **JUDGED)
    await desk.answer(case.number, "approve-mark", decision="approve", signed_by="mia")
    await desk.answer(case.number, "tell", decision="done", signed_by="ben")
    await desk.ends(case.number)
    return case.number


async def _verify(site: Site, number: int, *words: str) -> tuple[int, dict[str, Any]]:
    command = ["audit", "verify", "--prefect", "--case", str(number), "--json", *words]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console", *command, env=site.environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out)


async def test_a_case_that_ran_and_closed_while_no_follower_ran_is_caught_up(alone: Desk) -> None:
    alone.site.start("deaf-relay")
    closed = await _carry_out_short(alone)
    cancelled = (await alone.open("pair")).number
    await alone.question(cancelled, "first")
    root = await alone.root(cancelled)
    await alone._request(
        "POST",
        f"/flow_runs/{root}/set_state",
        json={"state": {"type": "CANCELLED", "name": "Cancelled"}, "force": True},
    )
    assert not await _on_record(alone, closed)

    code, said = await _verify(alone.site, closed, "--under-way", "0")
    assert code == DIFFER
    assert {gap["what"] for gap in said["gaps"]} == {"not on record"}
    assert {gap["state_id"] for gap in said["gaps"]} == {state[0] for state in _in_prefect(alone.site, closed)}
    code, said = await _verify(alone.site, closed)
    assert (code, said["gaps"]) == (0, [])
    assert said["under_way"] > 0

    await _forge_a_state_of(alone, cancelled)
    code, said = await _verify(alone.site, cancelled)
    assert code == DIFFER
    assert "name Paused on record, Cancelled in Prefect" in said["gaps"][0]["what"]
    assert "time 2026-01-01" in said["gaps"][0]["what"]

    alone.site.kill("deaf-relay")
    alone.site.start("relay")
    found = await _all_once(alone, closed)
    assert {kind for _, kind, _, _ in found} == {"flow-run", "task-run"}
    assert {"Suspended", "Running", "Completed"} <= {name for *_, name in found}
    await alone.ends(cancelled, "cancelled")


async def test_events_that_never_arrive_are_made_good_from_the_api(alone: Desk) -> None:
    alone.site.start("mute-relay")
    number = await _carry_out_short(alone)
    await _runs_end(alone, number)
    alone.site.kill("mute-relay")
    alone.site.start("mute-relay")
    await _all_once(alone, number)


async def test_states_come_once_although_the_relay_is_killed_between(alone: Desk) -> None:
    alone.site.start("relay")
    number = (await alone.open("pair")).number
    await alone.question(number, "first")
    alone.site.kill("relay")
    alone.site.start("relay")
    await alone.answer(number, "first", **DONE)
    await alone.question(number, "second")
    alone.site.kill("relay")
    alone.site.start("relay")
    await alone.answer(number, "second", **DONE)
    await alone.ends(number)
    await _runs_end(alone, number)
    alone.site.kill("relay")
    alone.site.start("relay")
    await _all_once(alone, number)


async def test_the_comparison_finds_what_was_invented_and_nothing_else(alone: Desk) -> None:
    alone.site.start("relay")
    number = await _carry_out_short(alone)
    case = await alone.case(number)
    await _runs_end(alone, number)
    heard = {kind for _, kind, _, _ in await _on_record(alone, number)}
    assert heard == {"flow-run", "task-run"}  # from events; they must bear the ids that Prefect's database has
    alone.site.kill("relay")  # the next one catches up at once, and not within a minute
    alone.site.start("relay")
    await _all_once(alone, number)
    code, said = await _verify(alone.site, number, "--under-way", "0")
    assert (code, said["gaps"], said["gone"], said["under_way"]) == (0, [], [], 0)
    assert said["states"] == len(_in_prefect(alone.site, number))

    root, lost, at = str(await alone.root(number)), str(uuid4()), datetime(2026, 1, 1, tzinfo=UTC)
    invented = {run_id: _state(run_id) for run_id in (root, lost)}
    async with alone.store.transaction() as tx:
        by = Actor.system("test")
        await audit.note_run_states(tx, [(case.id, state, at) for state in invented.values()], by=by)
    code, said = await _verify(alone.site, number, "--under-way", "0")
    assert code == DIFFER
    assert [(gap["what"], gap["state_id"]) for gap in said["gaps"]] == [
        ("on record, not in Prefect", invented[root].state_id)
    ]
    assert said["gone"] == [lost]


@pytest.mark.slow
async def test_two_relays_record_each_state_once_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    assert postgres_url.startswith("postgresql")
    with postgres_site_in(tmp_path, "deaf-relay", "worker") as site:
        async with desk_at(site) as desk:
            number = await _carry_out_short(desk)
            site.kill("deaf-relay")
            site.start("relay")
            site.start("relay@2")

            async def complete() -> bool:
                code, said = await _verify(site, number, "--under-way", "0")
                return code == 0 and said["states"] > 0

            await until(complete)
            assert set((await _on_record(desk, number)).values()) == {1}


async def _forge_a_state_of(desk: Desk, number: int) -> None:
    """Put the newest state of the case's run on record under another name and time than Prefect's."""
    root = str(await desk.root(number))
    state = _state(root, (await desk.run(root))["state_id"], "Paused")
    case = await desk.case(number)
    async with desk.store.transaction() as tx:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        await audit.note_run_states(tx, [(case.id, state, at)], by=Actor.system("test"))


def _state(run_id: str, state_id: str | None = None, name: str = "Failed") -> RunState:
    return RunState(
        state_id=state_id or str(uuid4()),
        run_kind="flow-run",
        run_id=run_id,
        run_name="",
        state_type=name.upper(),
        state_name=name,
    )
