"""Many links, each sent by many at once, while scanners look at all of them: one decision a link, and none by looking.

The long edition is part of `make faults`.
"""

import asyncio
import re
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select

from case_store import cases, find, links, tasks
from case_store.links import LinkKeys
from case_store.models import AnswerLink, AuditEvent, Task
from case_store.settings import Settings
from case_store.store import CaseStore
from console.web.app import make
from console.web.limits import Limit
from console.web.site import Site
from sop.loader import loads
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, SYSTEM

KEYS = LinkKeys(("a-key-of-at-least-32-characters-is-it",))
TASKS = 100
AT_ONCE = 20
DAY = timedelta(days=1)
SOP = "\n".join(
    [
        "sop: many",
        "version: 1",
        "title: Many things to do",
        "owner: role:tier1",
        "stages:",
        "  - key: all",
        "    title: All of it",
        "    tasks:",
        *(f"      - {{key: t{one}, title: Thing {one}, owner: 'user:ada', by_link: [done]}}" for one in range(TASKS)),
    ]
)


async def minted(store: CaseStore, count: int) -> list[str]:
    """Make links, each to a task of its own."""
    async with store.transaction() as tx:
        ada = (await world.people(tx))["ada"]
    tokens: list[str] = []
    while len(tokens) < count:
        async with store.transaction() as tx:
            case = await cases.open_case(tx, loads(SOP, "many.yaml"), "Many", by=SYSTEM, at=NOW)
            for key in [f"t{one}" for one in range(min(TASKS, count - len(tokens)))]:
                task = await find.task_of(tx, case, key)
                await tasks.ask(tx, task, parameters=None, due_at=LATER, by=ENGINE, at=NOW)
                token = await links.mint(tx, task, ada, "email", keys=KEYS, lasts=DAY, by=ENGINE, at=NOW)
                tokens.append(token or "")
    return tokens


async def scan(http: httpx.AsyncClient, tokens: list[str], count: int) -> set[int]:
    """Do what mail filters do: follow every link, with GET and HEAD."""
    return {
        (await http.request(("GET", "HEAD")[number % 2], f"/a/{tokens[number % len(tokens)]}")).status_code
        for number in range(count)
    }


async def fight(http: httpx.AsyncClient, token: str) -> list[int]:
    """Send one page many times at once; return the status of each answer."""
    sealed = re.search(r'name="page" value="([^"]+)"', (await http.get(f"/a/{token}")).text)
    assert sealed
    data = {"page": sealed[1], "decision": "done"}
    sent = await asyncio.gather(*(http.post(f"/a/{token}", data=data) for _ in range(AT_ONCE)))
    return sorted(one.status_code for one in sent)


@pytest.mark.parametrize(("count", "scans"), [(5, 100), pytest.param(1_000, 5_000, marks=pytest.mark.slow)])
async def test_each_link_decides_once_and_looking_decides_nothing(store: CaseStore, count: int, scans: int):
    tokens = await minted(store, count)
    wide = {"per_address": Limit(10**9), "per_link": Limit(10**9)}
    app = make(Site(store, KEYS, Settings(public_url="https://soar.example.org"), lambda: LATER, **wide))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://soar.example.org") as http:
        assert await scan(http, tokens, scans) == {200}
        async with store.reading() as tx:
            assert await tx.session.scalar(select(func.count()).where(Task.state == "done")) == 0
        for token in tokens:
            assert await fight(http, token) == [200] + [410] * (AT_ONCE - 1)
    async with store.reading() as tx:
        for wanted in (
            select(func.count()).where(Task.state == "done", Task.decided_via == "link"),
            select(func.count()).where(AnswerLink.used_at.is_not(None)),
            select(func.count()).where(AuditEvent.type == "task.completed"),
            select(func.count()).where(AuditEvent.type == "answer_link.used"),
        ):
            assert await tx.session.scalar(wanted) == count
