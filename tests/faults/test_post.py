"""Relays are killed and mail servers stopped while messages are due: none is lost, and how many come twice is bounded.

The short edition runs with every `make test`; `make faults` runs the long one.
"""

import asyncio
import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import func, make_url, select

from case_store import migrate, outbox
from case_store.models import AuditEvent, OutboxEntry, Person
from case_store.outbox import Policy
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.relay.lane import Lane
from flows.relay.writing import Writer
from notifiers.email import EmailNotifier
from notifiers.settings import EmailConfig
from tests import postgres
from tests.conftest import missing
from tests.faults import posting
from tests.faults.posting import BY, CHANNEL, Line, Provider
from tests.postfix import HOW_TO_GET_IT, PASSWORD, USER, Postfix, PostfixMissing, own_postfix

SEED = int(os.environ.get("CASEWRIGHT_TEST_SEED", "2026"))
SHORT = pytest.param(10, 200, id="short")
LONG = [pytest.param(100, 2000, id=f"long-{part}", marks=pytest.mark.slow) for part in range(5)]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.faults.posting"])


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without tables, once for each kind."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'casewright.db'}"
        return
    server, name = str(request.getfixturevalue("postgres_url")), f"casewright_post_{uuid4().hex[:12]}"
    postgres.on_server(f'CREATE DATABASE "{name}"')
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    postgres.on_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def prepared(url: str, home: Path, messages: int) -> CaseStore:
    """A case store with messages that are due."""
    await migrate.upgrade(url)
    store = await CaseStore.open(Settings(home=home, database_url=url))
    at = datetime.now(UTC)
    async with store.transaction() as tx:
        person = Person(handle="ada", name="Ada", email="ada@example.org")
        tx.session.add(person)
        tx.record("person.added", person, by=BY, at=at)
        await tx.flush()
        for number in range(messages):
            tx.session.add(
                OutboxEntry(
                    dedup_key=f"{number}:{person.id}:{CHANNEL}",
                    channel=CHANNEL,
                    recipient_id=person.id,
                    template="test",
                    next_at=at,
                    context={"recipient": {"name": "Ada", "time_zone": None}},
                )
            )
    return store


async def in_states(store: CaseStore) -> Counter[str]:
    async with store.reading() as tx:
        found = await tx.session.execute(select(OutboxEntry.state, func.count()).group_by(OutboxEntry.state))
        return Counter({str(state): int(number) for state, number in found.all()})


async def kill_relays(url: str, home: Path, provider: Provider, kills: int, messages: int, *, can_find: bool) -> None:
    """Start a relay, kill it while it works, and again."""
    chance = random.Random(SEED)
    share = max(1, messages // (kills + 1))
    for _ in range(kills):
        process = _CONTEXT.Process(target=posting.relay, args=(url, home, provider.port, can_find), daemon=True)
        process.start()
        try:
            target = min(provider.taken.total() + chance.randint(1, share), messages - 1)
            async with asyncio.timeout(60):
                await provider.wait_for(target)
            await asyncio.sleep(chance.uniform(0, 0.02))
        finally:
            process.kill()
            await asyncio.to_thread(process.join, 30)


@pytest.mark.parametrize("can_find", [True, False], ids=["can be asked", "cannot be asked"])
@pytest.mark.parametrize(("kills", "messages"), [SHORT, *LONG])
async def test_killed_relays_lose_nothing(url: str, tmp_path: Path, kills: int, messages: int, can_find: bool):
    store = await prepared(url, tmp_path, messages)
    async with Provider() as provider:
        await kill_relays(url, tmp_path, provider, kills, messages, can_find=can_find)
        lane = posting.lane_of(store, Line(provider.port, can_find=can_find))
        async with asyncio.timeout(120):
            while (await in_states(store))["sent"] < messages:
                if not await lane.send_due():
                    await asyncio.sleep(0.05)
    async with store.reading() as tx:
        sent = await tx.session.scalar(
            select(func.count()).select_from(AuditEvent).where(AuditEvent.type == "notification.sent")
        )
        keys = set(await tx.session.scalars(select(OutboxEntry.dedup_key)))
    await store.close()
    twice = provider.taken.total() - messages
    print(f"{kills} kills, {messages} messages: {len(keys - provider.taken.keys())} lost, {twice} twice")  # noqa: T201
    assert keys == set(provider.taken), "every message arrived, and nothing else"
    assert sent == messages, "each is on record once"
    assert twice <= (0 if can_find else kills)
    assert max(provider.taken.values()) <= (1 if can_find else 1 + kills)


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    try:
        with own_postfix() as server:
            yield server
    except PostfixMissing as error:
        missing(str(error), HOW_TO_GET_IT)


class Fast:
    """A clock that runs faster than the world, so that the pauses of a breaker are short."""

    def __init__(self, speed: float) -> None:
        self._speed, self._begun = speed, datetime.now(UTC)

    def __call__(self) -> datetime:
        return self._begun + (datetime.now(UTC) - self._begun) * self._speed


@pytest.mark.parametrize(
    ("messages", "seconds", "speed"),
    [pytest.param(100, 3, 20, id="short"), pytest.param(1000, 60, 1, id="long", marks=pytest.mark.slow)],
)
async def test_a_mail_server_that_is_stopped_loses_nothing(
    postfix: Postfix, tmp_path: Path, messages: int, seconds: float, speed: float
):
    store = await prepared(Settings(home=tmp_path).database_url, tmp_path, messages)
    mail = EmailNotifier(
        EmailConfig(
            host=postfix.host, port=postfix.port, sender="soc@corp.example", username=USER,
            password=SecretStr(PASSWORD), ca_file=postfix.ca_file,
        )
    )  # fmt: skip
    lane = Lane(store, CHANNEL, mail, Writer("https://casewright.example/"), Policy(), BY, Fast(speed))

    async def send_all() -> None:
        while (await in_states(store))["pending"] + (await in_states(store))["leased"]:
            if not await lane.send_due():
                await asyncio.sleep(0.05)

    sending = asyncio.create_task(send_all())
    await postfix.delivered(messages // 5)
    await asyncio.to_thread(postfix.stop)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(postfix.start)
    async with asyncio.timeout(240):
        await sending
    in_doubt = (await in_states(store))["unknown"]
    async with store.transaction() as tx:
        for entry in (await tx.session.scalars(select(OutboxEntry).where(OutboxEntry.state == "unknown"))).all():
            await outbox.retry(tx, entry.id, by=BY, at=lane.clock() - timedelta(days=1))
    await send_all()
    await mail.close()
    got = await postfix.delivered(messages)
    ids = Counter(str(one.letter["Message-ID"]) for one in got)
    found = await in_states(store)
    await store.close()
    print(f"{messages} messages: {len(ids)} arrived, {len(got) - len(ids)} twice, {in_doubt} in doubt")  # noqa: T201
    assert found == {"sent": messages}
    assert len(ids) == messages
    assert len(got) - len(ids) <= in_doubt, "only what a person sent again may come twice"
    assert in_doubt <= 1
