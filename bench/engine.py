"""How fast does the engine react, and what do store, audit and attachments cost?

Side by side in one run, on SQLite and on PostgreSQL behind Prefect: the stock process worker and ours; and a bare
Prefect flow of 3 stages x 3 tasks beside the same as an SOP. Resume is pressed when the case's run is at rest.
Run: make bench BENCH=engine
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.table import print_table, seconds
from tests.site import ROOT, Desk, Site, desk_at, postgres_site_in, site_in, until

MEASURED = ("create -> first task waits", "Resume -> recorded", "Resume -> next task waits")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="cases with our worker (default: 10)")
    parser.add_argument("--stock-rounds", type=int, default=3, help="cases with the stock worker (default: 3)")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    given = parser.parse_args()
    for database in ["sqlite", "postgresql"] if given.database == "both" else [given.database]:
        made = postgres_site_in if database == "postgresql" else site_in
        with tempfile.TemporaryDirectory() as folder, made(Path(folder)) as site:
            asyncio.run(_measure(database, site, given.rounds, given.stock_rounds))


async def _measure(database: str, site: Site, rounds: int, stock_rounds: int) -> None:
    async with desk_at(site) as desk:
        await asyncio.to_thread(site.start, "serve")
        await _case(desk)  # warm-up
        ours = [await _case(desk) for _ in range(rounds)]
        # In turn, so that both meet the same noise.
        both = [(await _bare(desk), await _nine_actions(desk)) for _ in range(rounds)]
        await asyncio.to_thread(site.kill, "serve")
        await asyncio.to_thread(site.start, "relay")
        await asyncio.to_thread(site.use_stock_pool)
        await asyncio.to_thread(site.start, "process-worker")
        stock = [await _case(desk) for _ in range(stock_rounds)]
    bare, sop = [one[0] for one in both], [one[1] for one in both]
    rows = []
    for column, name in enumerate(MEASURED):
        slow, fast = [one[column] for one in stock], [one[column] for one in ours]
        rows.append([name, *seconds(slow), *seconds(fast), f"{median(slow) / median(fast):.1f}"])
    head = ["", "stock median s", "p95", "ours median s", "p95", "times faster"]
    print_table(f"Reaction, {database} behind Prefect", head, rows)
    head = ["3 stages x 3 automated tasks", "median s", "p95", "x of bare"]
    rows = [
        ["bare Prefect flow", *seconds(bare), "1.00"],
        ["SOP with store, audit, attachments", *seconds(sop), f"{median(sop) / median(bare):.2f}"],
    ]
    print_table(f"Overhead, {database} behind Prefect", head, rows)


async def _case(desk: Desk) -> tuple[float, float, float]:
    """Return the three times of one case, in seconds."""
    began = time.perf_counter()
    case = await desk.open("pair")
    question = await desk.question(case.number, "first", within=180)
    waited = time.perf_counter() - began
    await _at_rest(desk, case.number)
    pressed = time.perf_counter()
    said = await desk.resume(question, decision="done", signed_by="ana")
    if said["status"] != "ACCEPT":
        raise RuntimeError(f"the answer was not taken: {said}")
    await desk.becomes(case.number, "first", "done", within=180)
    recorded = time.perf_counter() - pressed
    await desk.question(case.number, "second", within=180)
    following = time.perf_counter() - pressed
    await desk.answer(case.number, "second", decision="done", signed_by="ana")
    await desk.ends(case.number, within=180)
    return waited, recorded, following


async def _at_rest(desk: Desk, number: int) -> None:
    """Wait until the run of the case is suspended: nobody reads and fills in a form before that."""

    async def suspended() -> bool:
        waiting = await desk.runs(tags={"all_": [f"case:{number}"]}, state={"type": {"any_": ["PAUSED"]}})
        return any(run["parent_task_run_id"] is None for run in waiting)

    await until(suspended, within=180)


async def _bare(desk: Desk) -> float:
    """Return how long the bare flow runs, as Prefect says."""
    run_id = await _run_bare(desk)
    return await _duration(desk, run_id)


async def _nine_actions(desk: Desk) -> float:
    """Return how long the same as an SOP runs, as Prefect says."""
    case = await desk.open("nine")
    await desk.ends(case.number, within=180)
    root = (await desk.runs(tags={"all_": [f"case:{case.number}"]}, parent_task_run_id={"is_null_": True}))[0]
    return await _duration(desk, root["id"])


async def _run_bare(desk: Desk) -> str:
    command = [sys.executable, "-m", "bench.bare", "--deploy"]
    subprocess.run(command, env=desk.site.environment, cwd=ROOT, check=True, capture_output=True)  # noqa: ASYNC221
    deployment = (await desk.client.get("/deployments/name/bare/bare")).json()
    return str((await desk.start(deployment["id"]))["id"])


async def _duration(desk: Desk, run_id: str) -> float:
    async def completed() -> float | None:
        run = await desk.run(run_id)
        return run["total_run_time"] if run["state"]["type"] == "COMPLETED" else None

    return float(await until(completed, within=180) or 0)


if __name__ == "__main__":
    main()
