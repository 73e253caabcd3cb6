"""Who carries cases out: our worker under Prefect's command, Prefect's stock worker, several on PostgreSQL."""

import asyncio
from collections import Counter
from pathlib import Path

from tests.site import Desk, desk_at, postgres_site_in, site_in

MANY = 6
DONE = {"decision": "done", "signed_by": "ana"}


async def _carry_out(desk: Desk) -> None:
    case = await desk.open("pair")
    await desk.answer(case.number, "first", **DONE)
    await desk.answer(case.number, "second", **DONE)
    await desk.ends(case.number)
    assert await desk.state(case.number) == {"first": "done", "second": "done"}


async def test_prefects_own_command_starts_our_worker(tmp_path: Path) -> None:
    with site_in(tmp_path, "relay", "casewright-worker") as site:
        async with desk_at(site) as desk:
            await _carry_out(desk)


async def test_a_stock_process_worker_carries_a_case_out(tmp_path: Path) -> None:
    with site_in(tmp_path, "relay") as site:
        site.use_stock_pool()
        site.start("process-worker")
        async with desk_at(site) as desk:
            case = await desk.open("pair")
            for key in ("first", "second"):
                question = await desk.question(case.number, key, within=120)
                assert (await desk.resume(question, **DONE))["status"] == "ACCEPT"
                await desk.becomes(case.number, key, "done", within=120)
            await desk.ends(case.number, within=120)


async def test_two_workers_and_two_relays_share_the_work_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    assert postgres_url.startswith("postgresql")
    with postgres_site_in(tmp_path, "relay", "relay@2", "worker", "worker@2") as site:
        async with desk_at(site) as desk:
            opened = [await desk.open("once") for _ in range(MANY)]
            site.effects.with_name("released").touch()
            await asyncio.gather(*(desk.becomes(case.number, "shoot", "done") for case in opened))
            await asyncio.gather(*(desk.answer(case.number, "say", signed_by="ana") for case in opened))
            await asyncio.gather(*(desk.ends(case.number) for case in opened))
            for case in opened:
                events = await desk.events(case.number)
                assert len([event for event in events if event["type"] == "task.completed"]) == 1
                states = Counter(event["event_id"] for event in events if event["type"] == "run.state")
                assert set(states.values()) == {1}
    effects = Counter(site.effects.read_text().splitlines())
    assert len(effects) == MANY
    assert set(effects.values()) == {1}
