"""Texts through the outbox and Twilio's stand-in: one for each promise, whatever the answers; opt-outs fall over."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from case_store import migrate
from case_store.actor import Actor
from case_store.models import OutboxEntry, Person
from case_store.outbox import Policy, breaker
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.relay.lane import Lane
from flows.relay.writing import Writer
from notifiers.settings import SmsConfig
from notifiers.sms import SmsNotifier
from notifiers.testing.twilio import FakeTwilio, Fault, Garbled, Refusal
from tests.post_office import PostOffice

BY = Actor.system("test")
WRITER = Writer("https://casewright.example/")
NO_LIMIT = Policy({})
FAULTS: dict[str, Fault] = {
    "429": Refusal(429, 20429, headers={"Retry-After": "2"}),
    "500": Refusal(500, 20500),
    "503": Refusal(503, 20503),
    "gateway": Garbled(504),
    "a success that cannot be read": Garbled(201, "{}"),
    "reset after the text was taken": "drop",
    "hang after the text was taken": "silence",
}


class Clock:
    """Begins with the world's time and moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CaseStore]:
    settings = Settings(home=tmp_path)
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    yield store
    await store.close()


@pytest.fixture
async def twilio(clock: Clock) -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio(clock=clock) as fake:
        yield fake


@pytest.fixture
async def sms(twilio: FakeTwilio) -> AsyncIterator[SmsNotifier]:
    notifier = SmsNotifier(
        SmsConfig(
            account_sid=twilio.account_sid,
            auth_token=SecretStr(twilio.auth_token),
            messaging_service_sid="MG" + "1" * 32,
            base_url=twilio.url,
            deadline=0.5,
            connect_timeout=0.4,
        )
    )
    yield notifier
    await notifier.close()


async def promise(store: CaseStore, at: datetime, people: int) -> None:
    """A text to each of some people; they have mail too."""
    async with store.transaction() as tx:
        for number in range(people):
            phone = f"+4930901{number:04}"
            person = Person(handle=f"p{number}", name=f"P {number}", email=f"p{number}@example.org", phone=phone)
            tx.session.add(person)
            tx.record("person.added", person, by=BY, at=at)
            entry = OutboxEntry(
                dedup_key=f"{number}:{person.id}:sms", channel="sms", recipient_id=person.id, template="test",
                next_at=at, context={"recipient": {"name": person.name, "time_zone": None}},
            )  # fmt: skip
            tx.session.add(entry)


async def states(store: CaseStore, channel: str = "sms") -> Counter[str]:
    async with store.reading() as tx:
        return Counter(await tx.session.scalars(select(OutboxEntry.state).where(OutboxEntry.channel == channel)))


async def send_all(lane: Lane, clock: Clock, rounds: int = 60) -> None:
    for _ in range(rounds):
        if not set(await states(lane.store, lane.channel)) & {"pending", "leased", "unknown"}:
            return
        if not await lane.send_due():
            clock.now += timedelta(seconds=61)
    raise AssertionError(f"still {await states(lane.store, lane.channel)} after {rounds} rounds")


@pytest.mark.parametrize("fault", FAULTS)
async def test_one_text_for_each_promise_whatever_is_answered(
    store: CaseStore, clock: Clock, twilio: FakeTwilio, sms: SmsNotifier, fault: str
):
    await promise(store, clock(), 1)
    twilio.faults.append(FAULTS[fault])
    await send_all(Lane(store, "sms", sms, WRITER, NO_LIMIT, BY, clock), clock)
    assert (await states(store), len(twilio.messages)) == ({"sent": 1}, 1)


async def test_one_text_for_each_promise_in_a_storm_of_faults(
    store: CaseStore, clock: Clock, twilio: FakeTwilio, sms: SmsNotifier
):
    people = 30
    await promise(store, clock(), people)
    chance = random.Random(2026)
    kinds = [FAULTS[name] for name in FAULTS if not name.startswith("hang")]
    for _ in range(people):
        twilio.faults.append(chance.choice(kinds))
    twilio.faults += ["silence", "silence"]
    await send_all(Lane(store, "sms", sms, WRITER, NO_LIMIT, BY, clock), clock, 200)
    assert await states(store) == {"sent": people}
    assert Counter(Counter(message["to"] for message in twilio.messages).values()) == {1: people}


async def test_whoever_opted_out_gets_a_letter_at_once(
    store: CaseStore, clock: Clock, twilio: FakeTwilio, sms: SmsNotifier
):
    await promise(store, clock(), 1)
    twilio.opted_out.add("+49309010000")
    before = clock()
    await Lane(store, "sms", sms, WRITER, NO_LIMIT, BY, clock).send_due()
    office = PostOffice("email")
    await Lane(store, "email", office, WRITER, NO_LIMIT, BY, clock).send_due()
    assert (await states(store), await states(store, "email")) == ({"dead": 1}, {"sent": 1})
    assert clock() == before, "it waited for nothing: the world's time is that of two tries"
    async with store.reading() as tx:
        person = (await tx.session.scalars(select(Person))).one()
    assert person.opted_out == ["sms"]
    assert office.has[0].to.email == person.email


@pytest.mark.parametrize(
    ("code", "state", "noted"),
    [
        (30003, "pending", None),
        (30008, "pending", None),
        (21610, "dead", "opted_out"),
        (30005, "dead", "bad_addresses"),
    ],
)
async def test_a_text_in_doubt_that_twilio_gave_up_is_asked_for_once(
    store: CaseStore, clock: Clock, twilio: FakeTwilio, sms: SmsNotifier, code: int, state: str, noted: str | None
):
    """What the list shows counts like a receipt, and says nothing about the channel."""
    await promise(store, clock(), 6)
    twilio.faults.extend(["drop"] * 6)
    lane = Lane(store, "sms", sms, WRITER, NO_LIMIT, BY, clock)
    await lane.send_due()
    for message in twilio.messages:
        message.update(status="undelivered", error_code=code)
    for _ in range(3):
        clock.now += timedelta(seconds=61)
        await lane.send_due()
    assert (await states(store), twilio.listings, len(twilio.messages)) == ({state: 6}, 6, 6)
    async with store.reading() as tx:
        assert await breaker.allowed(tx, "sms", clock(), 20) == 20
        people = (await tx.session.scalars(select(Person))).all()
    if noted is not None:
        assert {tuple(getattr(person, noted)) for person in people} == {("sms",)}
        assert await states(store, "email") == {"pending": 6}
        return
    clock.now += timedelta(minutes=10)
    await lane.send_due()
    assert (await states(store), len(twilio.messages)) == ({"sent": 6}, 12), "a phone that was off is tried once more"
