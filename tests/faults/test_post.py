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
from typing import Self
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import func, make_url, select

from case_store import migrate, outbox
from case_store.models import AuditEvent, OutboxEntry, Person
from case_store.outbox import Policy
from case_store.outbox.policy import DOUBT_LASTS
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.relay.lane import Lane
from flows.relay.writing import Writer
from notifiers.email import EmailNotifier
from notifiers.settings import EmailConfig
from notifiers.testing.smtp import SmtpServer
from notifiers.testing.twilio import FakeTwilio
from tests import postgres
from tests.conftest import missing
from tests.faults import posting
from tests.faults.posting import BY, CHANNEL, Provider
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


async def prepared(url: str, home: Path, messages: int, channel: str = CHANNEL) -> CaseStore:
    """A case store with messages that are due, each to somebody else."""
    await migrate.upgrade(url)
    store = await CaseStore.open(Settings(home=home, database_url=url))
    at = datetime.now(UTC)
    for first in range(0, messages, 500):
        async with store.transaction() as tx:
            for number in range(first, min(first + 500, messages)):
                handle, phone = f"p{number}", f"+4930{9000000 + number}"
                person = Person(handle=handle, name="Ada", email=f"{handle}@example.org", phone=phone)
                tx.session.add(person)
                tx.record("person.added", person, by=BY, at=at)
                entry = OutboxEntry(
                    dedup_key=f"{number}:{person.id}:{channel}", channel=channel, recipient_id=person.id,
                    template="test", next_at=at, context={"recipient": {"name": "Ada", "time_zone": None}},
                )  # fmt: skip
                tx.session.add(entry)
    return store


async def in_states(store: CaseStore) -> Counter[str]:
    async with store.reading() as tx:
        found = await tx.session.execute(select(OutboxEntry.state, func.count()).group_by(OutboxEntry.state))
        return Counter({str(state): int(number) for state, number in found.all()})


class Toy:
    """The provider that is a few lines of the tests'."""

    def __init__(self, kind: str) -> None:
        self.kind, self._provider = kind, Provider()

    async def __aenter__(self) -> Self:
        self.port = (await self._provider.__aenter__()).port
        return self

    async def __aexit__(self, *how: object) -> None:
        await self._provider.__aexit__(*how)

    def taken(self) -> Counter[str]:
        """How often each message arrived, by recipient."""
        return Counter({key.split(":")[0]: number for key, number in self._provider.taken.items()})

    def total(self) -> int:
        """How many arrived, repeats included."""
        return self._provider.taken.total()

    async def wait_for(self, total: int) -> None:
        """Wait until so many arrived."""
        await self._provider.wait_for(total)


class Texts(Toy):
    """The stand-in for Twilio, reached through its own SDK."""

    def __init__(self, kind: str) -> None:
        self.kind, self._twilio = kind, FakeTwilio()

    async def __aenter__(self) -> Self:
        self.port = int((await self._twilio.__aenter__()).url.rsplit(":", 1)[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._twilio.__aexit__(None, None, None)

    def taken(self) -> Counter[str]:
        return Counter(str(int(str(one["to"])[5:]) - 9000000) for one in self._twilio.messages)

    def total(self) -> int:
        return len(self._twilio.messages)

    async def wait_for(self, total: int) -> None:
        await self._twilio.wait_for(total)


class Letters(Toy):
    """A mail server; what comes twice has to bear the same Message-ID."""

    def __init__(self, kind: str) -> None:
        self.kind, self._server = kind, SmtpServer()

    async def __aenter__(self) -> Self:
        self.port = (await self._server.__aenter__()).port
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.__aexit__(None, None, None)

    def taken(self) -> Counter[str]:
        ids = {(str(one.letter["Message-ID"]), one.recipients[0]) for one in self._server.received}
        assert len(ids) == len({to for _, to in ids}), "each person's letter has one Message-ID, however often it came"
        return Counter(one.recipients[0].partition("@")[0][1:] for one in self._server.received)

    def total(self) -> int:
        return len(self._server.received)

    async def wait_for(self, total: int) -> None:
        await self._server.wait_for(total)


PROVIDERS = {"can be asked": Toy, "cannot be asked": Toy, "texts": Texts, "letters": Letters}


async def kill_relays(url: str, home: Path, provider: Toy, kills: int, messages: int) -> None:
    """Start a relay, kill it while it works, and again."""
    chance = random.Random(SEED)
    share = max(1, messages // (kills + 1))
    for _ in range(kills):
        process = _CONTEXT.Process(target=posting.relay, args=(url, home, provider.kind, provider.port), daemon=True)
        process.start()
        try:
            target = min(provider.total() + chance.randint(1, share), messages - 1)
            async with asyncio.timeout(60):
                await provider.wait_for(target)
            await asyncio.sleep(chance.uniform(0, 0.02))
        finally:
            process.kill()
            await asyncio.to_thread(process.join, 30)


@pytest.mark.parametrize("kind", PROVIDERS)
@pytest.mark.parametrize(("kills", "messages"), [SHORT, *LONG])
async def test_killed_relays_lose_nothing(url: str, tmp_path: Path, kills: int, messages: int, kind: str):
    can_find = kind in {"can be asked", "texts"}
    store = await prepared(url, tmp_path, messages, "sms" if kind == "texts" else CHANNEL)
    async with PROVIDERS[kind](kind) as provider:
        await kill_relays(url, tmp_path, provider, kills, messages)
        channel = posting.channel_to(kind, provider.port)
        lane = posting.lane_of(store, channel)
        async with asyncio.timeout(240):
            while (await in_states(store))["sent"] < messages:
                if not await lane.send_due():
                    await asyncio.sleep(0.05)
        await channel.close()
        taken = provider.taken()
    async with store.reading() as tx:
        sent = await tx.session.scalar(
            select(func.count()).select_from(AuditEvent).where(AuditEvent.type == "notification.sent")
        )
    await store.close()
    lost, twice = messages - len(taken), taken.total() - len(taken)
    print(f"{kind}: {kills} kills, {messages} messages: {lost} lost, {twice} twice")  # noqa: T201
    assert taken.keys() == {str(number) for number in range(messages)}, "every message arrived, and nothing else"
    assert sent == messages, "each is on record once"
    assert twice <= (0 if can_find else kills)
    assert max(taken.values()) <= (1 if can_find else 1 + kills)


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    try:
        with own_postfix() as server:
            yield server
    except PostfixMissing as error:
        missing(str(error), HOW_TO_GET_IT)


class Fast:
    """A clock that runs faster than the world, so that the pauses of a breaker are short, and that may be put on."""

    def __init__(self, speed: float) -> None:
        self._speed, self._begun, self._on = speed, datetime.now(UTC), timedelta()

    def __call__(self) -> datetime:
        return self._begun + (datetime.now(UTC) - self._begun) * self._speed + self._on

    def put_on(self, by: timedelta) -> None:
        self._on += by


async def send_all(lane: Lane, clock: Fast) -> int:
    """Do as a relay does until all has come to an end; return how many messages were in doubt."""
    in_doubt = 0
    while (states := await in_states(lane.store)).keys() & {"pending", "leased", "unknown"}:
        if await lane.send_due():
            continue
        if not states["pending"] + states["leased"]:
            in_doubt += states["unknown"]
            clock.put_on(DOUBT_LASTS)
        async with lane.store.transaction() as tx:
            await outbox.expire(tx, by=BY, at=clock())
        await asyncio.sleep(0.05)
    return in_doubt


@pytest.mark.parametrize(
    ("messages", "seconds", "speed"),
    [pytest.param(100, 3, 20, id="short"), pytest.param(1000, 60, 1, id="long", marks=pytest.mark.slow)],
)
async def test_a_mail_server_that_is_stopped_loses_nothing(
    postfix: Postfix, tmp_path: Path, messages: int, seconds: float, speed: float
):
    """And nobody has to do anything. What the server had and did not answer for may come twice, with one Message-ID."""
    store, clock = await prepared(Settings(home=tmp_path).database_url, tmp_path, messages), Fast(speed)
    mail = EmailNotifier(
        EmailConfig(
            host=postfix.host, port=postfix.port, sender="soc@corp.example", username=USER,
            password=SecretStr(PASSWORD), ca_file=postfix.ca_file,
        )
    )  # fmt: skip
    lane = Lane(store, CHANNEL, mail, Writer("https://casewright.example/"), Policy(), BY, clock)
    sending = asyncio.create_task(send_all(lane, clock))
    await postfix.delivered(messages // 5)
    await asyncio.to_thread(postfix.stop)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(postfix.start)
    async with asyncio.timeout(900):
        in_doubt = await sending
    await mail.close()
    got = await postfix.delivered(messages)
    found = await in_states(store)
    await store.close()
    ids = Counter(str(one.letter["Message-ID"]) for one in got)
    print(f"{messages} messages: {len(ids)} arrived, {len(got) - len(ids)} twice, {in_doubt} in doubt")  # noqa: T201
    assert found == {"sent": messages}
    assert len(ids) == messages
    assert len(got) - len(ids) <= in_doubt
