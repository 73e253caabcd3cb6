"""How late is it told that a task is late, by a relay, a worker and a Prefect server that run for real?

Tasks become late at random moments within some seconds, on SQLite and on PostgreSQL, while Prefect is there and after
it was killed. Lateness is the time of the event `task.escalated`, and of the try to send its message, after the moment
of the rung. The floor, in the same run, is a loop that does nothing but select the late rows every two seconds.
Run: make bench BENCH=lateness ARGS="--tasks 300 --seconds 120"
"""

import argparse
import asyncio
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median, quantiles

from sqlalchemy import select, update

from bench.table import print_table
from case_store import cases, find, tasks
from case_store.actor import Actor
from case_store.models import AuditEvent, CaseRun, OutboxEntry, Task
from case_store.store import CaseStore
from sop.loader import loads
from tests.site import Site, postgres_site_in, site_in

IN_A_CASE = 100
LOOK_EVERY = 2.0
AHEAD = timedelta(seconds=15)
"""How long the first task is ahead of its moment, while the tasks are made."""
PATIENCE = 120.0
BY = Actor.system("bench")
_SOP = """\
sop: many
version: 1
title: Many
escalation: [{after: 0, to: owner}]
stages:
  - key: s
    title: S
    tasks:
"""
Moments = dict[str, datetime]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--seed", type=int, default=2026)
    wanted = parser.parse_args()
    rows = []
    for name in ("sqlite", "postgresql"):
        if wanted.database in {name, "both"}:
            with tempfile.TemporaryDirectory() as folder, _site(name, Path(folder)) as site:
                rows += asyncio.run(_measure(name, site, wanted))
    head = ["database", "Prefect", "tasks", "told p50 s", "p99", "max", "sent p50 s", "p99", "max"]
    print_table("How late it is told", [*head, "floor p50 s", "p99", "max"], rows)


@contextmanager
def _site(name: str, folder: Path) -> Iterator[Site]:
    with (postgres_site_in if name == "postgresql" else site_in)(folder / "site") as site:
        site.environment["CASEWRIGHT_MAIL_FOLDER"] = str(folder / "mail")
        site.start("serve")
        yield site


async def _measure(name: str, site: Site, wanted: argparse.Namespace) -> list[list[str]]:
    store, random, rows = await CaseStore.open(site.settings), Random(wanted.seed), []  # noqa: S311 - moments, no secrets
    try:
        for prefect in ("there", "away"):
            if prefect == "away":
                site.kill("server")
            due = await _open(store, wanted.tasks, wanted.seconds, random)
            seen = await _floor(store, due)
            told, sent = await _all_told(store, due)
            rows.append([name, prefect, str(len(due)), *_late(due, told), *_late(due, sent), *_late(due, seen)])
    finally:
        await store.close()
    return rows


async def _open(store: CaseStore, number: int, seconds: int, random: Random) -> Moments:
    """Have so many tasks wait for their owner; return the moments at which they become late."""
    due: Moments = {}
    begin = datetime.now(UTC) + AHEAD
    for first in range(0, number, IN_A_CASE):
        keys = [f"t{n}" for n in range(min(IN_A_CASE, number - first))]
        lines = "".join(f'      - {{key: {key}, title: T, owner: "user:ana", sla: 1h}}\n' for key in keys)
        at = datetime.now(UTC)
        async with store.transaction() as tx:
            case = await cases.open_case(tx, loads(_SOP + lines), "Many", by=BY, at=at)
            for key in keys:
                task = await find.task_of(tx, case, key)
                moment = begin + timedelta(seconds=random.uniform(0, seconds))
                await tasks.ask(tx, task, parameters=None, due_at=moment, by=BY, at=at)
                due[task.id] = moment
            # No run of the case: what is measured is the ladder.
            run = update(CaseRun).where(CaseRun.case_id == case.id).values(advanced_generation=CaseRun.generation)
            await tx.session.execute(run.execution_options(synchronize_session=False))
    return due


async def _floor(store: CaseStore, due: Moments) -> Moments:
    """Look for late rows until all are, and do nothing else; return when each was seen."""
    seen: Moments = {}
    while len(seen) < len(due):
        at = datetime.now(UTC)
        async with store.reading() as tx:
            late = await tx.session.scalars(select(Task.id).where(Task.state == "open", Task.due_at <= at))
            seen |= {one: datetime.now(UTC) for one in late if one in due and one not in seen}
        await asyncio.sleep(LOOK_EVERY)
    return seen


async def _all_told(store: CaseStore, due: Moments) -> tuple[Moments, Moments]:
    """Wait until all were told and sent; return when."""
    escalated = select(AuditEvent.entity_id, AuditEvent.ts).where(AuditEvent.type == "task.escalated")
    tried = select(OutboxEntry.task_id, OutboxEntry.tried_at)
    tried = tried.where(OutboxEntry.template == "escalated", OutboxEntry.state == "sent")
    async with asyncio.timeout(PATIENCE):
        while True:
            async with store.reading() as tx:
                told = {task: at for task, at in await tx.session.execute(escalated) if task in due}
                sent = {task: at for task, at in await tx.session.execute(tried) if task in due}
            if len(sent) == len(due):
                return told, sent
            await asyncio.sleep(1)


def _late(due: Moments, found: Moments) -> Iterable[str]:
    values = [(found[one] - moment).total_seconds() for one, moment in due.items()]
    p99 = quantiles(values, n=100, method="inclusive")[-1] if len(values) > 1 else values[0]
    return f"{median(values):.2f}", f"{p99:.2f}", f"{max(values):.2f}"


if __name__ == "__main__":
    main()
