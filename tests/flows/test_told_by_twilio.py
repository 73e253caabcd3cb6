"""From a running relay to Twilio's stand-in, back by a signed call to our page, and on to the next way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from pydantic import SecretStr
from sqlalchemy import select

from case_store import migrate
from case_store.actor import Actor
from case_store.blobs import Blobs
from case_store.links import LinkKeys
from case_store.models import AuditEvent, OutboxEntry, Person
from case_store.settings import Settings
from case_store.store import CaseStore
from console.web.app import make
from console.web.site import Site
from flows.prefect_client import Prefect
from flows.relay import post
from flows.resources import Resources
from notifiers.settings import SmsConfig
from notifiers.sms import SmsNotifier
from notifiers.testing.twilio import FakeTwilio
from tests.ports import free_port
from tests.post_office import PostOffice
from tests.site import until

BY = Actor.system("test")
WITHIN = 10
"""Seconds of the world's time in which whoever opted out is reached another way."""


class _Quiet(uvicorn.Server):
    """Leaves the signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        public_url=f"http://127.0.0.1:{free_port()}",
        twilio_auth_token=SecretStr(FakeTwilio.auth_token),
    )


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[CaseStore]:
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    yield store
    await store.close()


@pytest.fixture
async def page(settings: Settings, store: CaseStore) -> AsyncIterator[None]:
    """Our pages, listening, with a store of their own as in a process of their own."""
    own = await CaseStore.open(settings)
    site = Site(own, LinkKeys(("k" * 43,)), settings, lambda: datetime.now(UTC))
    port = int(str(settings.public_url).rsplit(":", 1)[1])
    config = uvicorn.Config(make(site), host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    server = _Quiet(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: asyncio.sleep(0, server.started), within=10, every=0.01)
    yield
    server.should_exit = True
    await serving
    await own.close()


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as fake:
        yield fake


@pytest.fixture
async def letters(settings: Settings, store: CaseStore, page: None, twilio: FakeTwilio) -> AsyncIterator[PostOffice]:
    """What goes by mail; while it is there, a relay's post runs."""
    sms = SmsNotifier(
        SmsConfig(
            account_sid=twilio.account_sid,
            auth_token=SecretStr(twilio.auth_token),
            messaging_service_sid="MG" + "1" * 32,
            base_url=twilio.url,
            status_callback=f"{settings.public_url}/hooks/twilio/status",
        )
    )
    office = PostOffice("email")
    own = Resources(settings, store, Blobs(settings.blobs), {})
    relay = asyncio.create_task(post.deliver_post(own, {"sms": sms, "email": office}, Prefect()))
    yield office
    relay.cancel()
    with suppress(asyncio.CancelledError):
        await relay


async def promise(store: CaseStore) -> None:
    """A text to somebody who has mail too."""
    at = datetime.now(UTC)
    async with store.transaction() as tx:
        person = Person(handle="ada", name="Ada", email="ada@example.org", phone="+4930901820")
        tx.session.add(person)
        tx.record("person.added", person, by=BY, at=at)
        await tx.flush()
        tx.session.add(
            OutboxEntry(
                dedup_key=f"1:{person.id}:sms", channel="sms", recipient_id=person.id, template="test",
                next_at=at, context={"recipient": {"name": "Ada", "time_zone": None}},
            )
        )  # fmt: skip


async def text(store: CaseStore) -> OutboxEntry:
    async with store.reading() as tx:
        return (await tx.session.scalars(select(OutboxEntry).where(OutboxEntry.channel == "sms"))).one()


async def soon(what: Callable[[], Awaitable[bool]]) -> None:
    await until(what, within=WITHIN, every=0.05)


async def sent(store: CaseStore, twilio: FakeTwilio) -> str:
    """Wait until the relay has noted that its text went; return its SID."""

    async def noted() -> bool:
        return (await text(store)).state == "sent"

    await soon(noted)
    (message,) = twilio.messages
    return str(message["sid"])


@pytest.mark.parametrize("by", ["the refusal", "the call"])
async def test_whoever_opted_out_has_a_letter_within_ten_seconds(
    store: CaseStore, twilio: FakeTwilio, letters: PostOffice, by: str
):
    if by == "the refusal":
        twilio.opted_out.add("+4930901820")
        await promise(store)
    else:
        await promise(store)
        assert await twilio.tell(await sent(store, twilio), "failed", 21610) == 204

    async def arrived() -> bool:
        return bool(letters.has)

    await soon(arrived)
    async with store.reading() as tx:
        person = (await tx.session.scalars(select(Person))).one()
    assert person.opted_out == ["sms"]
    assert (letters.has[0].to.email, (await text(store)).state) == (person.email, "dead")


async def test_a_number_that_is_none_has_a_letter_too(store: CaseStore, twilio: FakeTwilio, letters: PostOffice):
    await promise(store)
    assert await twilio.tell(await sent(store, twilio), "undelivered", 30005) == 204

    async def arrived() -> bool:
        return bool(letters.has)

    await soon(arrived)
    async with store.reading() as tx:
        assert (await tx.session.scalars(select(Person.bad_addresses))).one() == ["sms"]


async def test_a_phone_that_was_off_is_tried_once_more_however_often_it_is_told(
    store: CaseStore, twilio: FakeTwilio, letters: PostOffice
):
    await promise(store)
    sid = await sent(store, twilio)
    for _ in range(3):
        assert await twilio.tell(sid, "undelivered", 30003) == 204
    assert await twilio.tell(sid, "delivered") == 204
    waits = await text(store)
    assert (waits.state, waits.resent, waits.provider_ref) == ("pending", True, None)
    assert timedelta(minutes=9) < waits.next_at - datetime.now(UTC) <= timedelta(minutes=10)
    assert letters.has == []


async def test_what_is_told_out_of_order_and_twice_never_goes_back(
    store: CaseStore, twilio: FakeTwilio, letters: PostOffice
):
    await promise(store)
    sid = await sent(store, twilio)
    told = [
        ("sent", None),
        ("queued", None),
        ("delivered", None),
        ("sent", None),
        ("delivered", None),
        ("failed", 30003),
    ]
    for status, code in told:
        assert await twilio.tell(sid, status, code) == 204
    assert (await text(store)).state == "delivered"
    async with store.reading() as tx:
        types = list(await tx.session.scalars(select(AuditEvent.type).where(AuditEvent.type.like("notification.%"))))
    assert sorted(types) == ["notification.delivered", "notification.receipt", "notification.sent"]
    assert letters.has == []


@pytest.mark.parametrize(("status", "code", "state"), [("delivered", None, "delivered"), ("failed", 21610, "dead")])
async def test_what_is_told_before_the_answer_counts(
    store: CaseStore, twilio: FakeTwilio, letters: PostOffice, status: str, code: int | None, state: str
):
    """Twilio may call before we have read its answer to our request, and does not call again."""
    twilio.tells_first = (status, code)
    await promise(store)

    async def settled() -> bool:
        return (await text(store)).state == state and bool(letters.has) == (state == "dead")

    await soon(settled)
    assert (await text(store)).provider_ref == twilio.messages[0]["sid"]
    assert len(twilio.messages) == 1
