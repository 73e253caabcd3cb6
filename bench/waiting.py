"""How much do cases cost that wait for people? Processes and memory at 0, 50 and 200 waiting cases.

The floor is the same site after one case was carried out to its end. Run: make bench BENCH=waiting
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import psutil
from sqlalchemy import func, select

from bench.table import print_table
from case_store import models
from tests.site import Desk, Site, desk_at, site_in, until

STEPS = (0, 50, 200)
_SETTLE_SECONDS = 20


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, site_in(Path(folder), "serve") as site:
        asyncio.run(_measure(site))


async def _measure(site: Site) -> None:
    rows: list[list[str]] = []
    floor = 0.0
    async with desk_at(site) as desk:
        await _warm_up(desk)
        for count in STEPS:
            await _have_waiting(desk, count)
            await asyncio.sleep(_SETTLE_SECONDS)
            engine, server = _memory(site.pid("serve")), _memory(site.pid("server"))
            floor = floor or engine[1]
            rows.append(
                [
                    str(count),
                    str(engine[0]),
                    f"{engine[1]:.0f}",
                    f"{engine[1] / floor:.2f}",
                    str(await _running(desk)),
                    f"{server[1]:.0f}",
                ]
            )
            sys.stderr.write(f"{count} cases wait\n")
    head = ["waiting cases", "engine processes", "engine RSS MiB", "x of 0 cases", "runs running", "server RSS MiB"]
    print_table("Cases that wait for people (worker and relay in one process, SQLite)", head, rows)


async def _warm_up(desk: Desk) -> None:
    case = await desk.open("short")
    await desk.answer(case.number, "judge", verdict="good", count=1, note="Seen it.", signed_by="ana")
    await desk.ends(case.number)


async def _have_waiting(desk: Desk, count: int) -> None:
    async with desk.store.reading() as tx:
        still_open = select(func.count()).select_from(models.Case).where(models.Case.state == "open")
        there = await tx.session.scalar(still_open) or 0
    for _ in range(count - there):
        await desk.open("short")

    async def all_asked() -> bool:
        async with desk.store.reading() as tx:
            ahead = models.CaseRun.generation > models.CaseRun.advanced_generation
            return not await tx.session.scalar(select(func.count()).select_from(models.CaseRun).where(ahead))

    await until(all_asked, within=900, every=0.5)


async def _running(desk: Desk) -> int:
    return len(await desk.runs(tags={"all_": ["casewright"]}, state={"type": {"any_": ["RUNNING", "PENDING"]}}))


def _memory(pid: int) -> tuple[int, float]:
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return len(family), sum(one.memory_info().rss for one in family) / 2**20


if __name__ == "__main__":
    main()
