"""A lane of the outbox: messages in doubt, channels that hang, leases that end, templates of one's own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from case_store import cases, migrate, outbox
from case_store.actor import Actor
from case_store.models import OutboxEntry, Person
from case_store.outbox import Policy, breaker
from case_store.outbox.policy import DOUBT_LASTS
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.relay import writing
from flows.relay.lane import POLL_GAP, Lane
from flows.relay.writing import Writer
from notifiers.contract import Message, Outcome
from tests.post_office import LOST, PostOffice

BY = Actor.system("test")
LINK = "https://casewright.example/"


class Clock:
    """A time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CaseStore]:
    settings = Settings(home=tmp_path)
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    yield store
    await store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lane(store: CaseStore, office: PostOffice, clock: Clock) -> Lane:
    return Lane(store, office.channel, office, Writer(LINK), Policy(), BY, clock)


async def promise(
    store: CaseStore, at: datetime, number: int = 1, channel: str = "email", language: str = "en"
) -> None:
    async with store.transaction() as tx:
        person = await tx.session.scalar(select(Person))
        if person is None:
            person = Person(handle="ada", name="Ada", email="ada@example.org", phone="+4930901820", language=language)
            tx.session.add(person)
            tx.record("person.added", person, by=BY, at=at)
            await tx.flush()
        for _ in range(number):
            entry = OutboxEntry(
                dedup_key="", channel=channel, recipient_id=person.id, template="test", next_at=at,
                context={"recipient": {"name": "Ada", "time_zone": None}},
            )  # fmt: skip
            entry.dedup_key = f"{entry.id}:{person.id}:{channel}"
            tx.session.add(entry)


async def states(store: CaseStore) -> list[str]:
    async with store.reading() as tx:
        return list(await tx.session.scalars(select(OutboxEntry.state).order_by(OutboxEntry.id)))


async def test_an_answer_that_was_lost_is_asked_for_and_not_sent_again(store: CaseStore, clock: Clock):
    office = PostOffice(answers=[LOST])
    await promise(store, clock())
    way = lane(store, office, clock)
    await way.send_due()
    assert await states(store) == ["unknown"]
    assert await way.send_due() == 0, "too early to ask"
    clock.move(POLL_GAP)
    await way.send_due()
    assert (await states(store), len(office.has), office.tries, office.asked) == (["sent"], 1, 1, 1)


async def test_what_never_arrived_is_sent_after_two_looks(store: CaseStore, clock: Clock):
    office = PostOffice(answers=[Outcome.unknown("cut off before it was read")])
    await promise(store, clock())
    way = lane(store, office, clock)
    await way.send_due()
    clock.move(POLL_GAP)
    await way.send_due()
    assert (await states(store), office.tries) == (["unknown"], 1)
    clock.move(POLL_GAP)
    await way.send_due()
    assert (await states(store), len(office.has), office.tries, office.asked) == (["sent"], 1, 2, 2)


async def test_where_nobody_can_be_asked_a_letter_goes_once_more(store: CaseStore, clock: Clock):
    office = PostOffice(can_find=False, answers=[LOST, LOST])
    await promise(store, clock())
    way = lane(store, office, clock)
    for tries in (1, 2):
        await way.send_due()
        clock.move(DOUBT_LASTS - timedelta(seconds=1))
        await look_after(store, clock)
        assert await way.send_due() == 0, "a bounce may come yet"
        assert (await states(store), office.tries) == (["unknown"], tries)
        clock.move(timedelta(seconds=1))
        await look_after(store, clock)
    assert await states(store) == ["dead", "pending"], "ada has a phone too"
    assert len({one.dedup_key for one in office.has}) == 1, "by that, both have one Message-ID"


async def look_after(store: CaseStore, clock: Clock) -> None:
    async with store.transaction() as tx:
        await outbox.expire(tx, by=BY, at=clock())


async def test_a_provider_that_cannot_be_asked_just_now_is_asked_later(store: CaseStore, clock: Clock):
    office = PostOffice(answers=[LOST], silent=True)
    await promise(store, clock())
    way = lane(store, office, clock)
    await way.send_due()
    for _ in range(5):
        clock.move(POLL_GAP)
        await way.send_due()
    async with store.reading() as tx:
        assert await breaker.allowed(tx, "email", clock(), 20) == 20, "asking in vain is no failure of the channel"
    office.silent = False
    clock.move(POLL_GAP)
    await way.send_due()
    assert (await states(store), office.tries, office.asked) == (["sent"], 1, 6)


async def test_an_error_of_ours_ends_its_message_and_no_other(
    store: CaseStore, clock: Clock, caplog: pytest.LogCaptureFixture
):
    secret = "https://hooks.example/T0K3N"

    class Odd(PostOffice):
        async def send(self, message: Message) -> Outcome:
            if message.dedup_key == poison:
                raise RuntimeError(secret)
            return await super().send(message)

    await promise(store, clock(), 3)
    async with store.reading() as tx:
        poison = (await tx.session.scalars(select(OutboxEntry.dedup_key).order_by(OutboxEntry.id))).all()[1]
    way = lane(store, Odd(), clock)
    assert await way.send_due() == 3
    assert await states(store) == ["sent", "pending", "sent"]
    for _ in range(10):
        clock.move(timedelta(hours=1))
        await way.send_due()
    assert await states(store) == ["sent", "dead", "sent", "pending"], "ada is told by text"
    async with store.reading() as tx:
        error = await tx.session.scalar(select(OutboxEntry.last_error).where(OutboxEntry.state == "dead"))
    assert error == "an error of ours (RuntimeError); the relay's log says where"
    assert "test_lane.py" in caplog.text
    assert secret not in caplog.text


async def test_who_has_nothing_to_do_writes_nothing(store: CaseStore, clock: Clock, monkeypatch: pytest.MonkeyPatch):
    await promise(store, clock() + timedelta(hours=1))
    written = []
    transaction = store.transaction
    monkeypatch.setattr(store, "transaction", lambda *all_: written.append(1) or transaction(*all_))
    way = lane(store, PostOffice(), clock)
    assert await way.send_due() == 0
    assert written == []
    clock.move(timedelta(hours=1))
    assert await way.send_due() == 1
    assert written


@pytest.mark.parametrize("can_find", [True, False])
async def test_a_relay_that_died_after_sending(store: CaseStore, clock: Clock, can_find: bool):
    """What can be asked for is not sent twice; else the same message goes again, under the same key."""
    office = PostOffice(can_find=can_find)
    await promise(store, clock())
    way = lane(store, office, clock)
    async with store.transaction() as tx:
        (entry,) = await outbox.claim(tx, clock(), way.lease, 1, "dies", channel="email")
        person = await tx.session.get_one(Person, entry.recipient_id)
    await office.send(await way.writer.message(entry, person, None))
    clock.move(way.lease)
    await way.send_due()
    assert await states(store) == ["sent"]
    assert len(office.has) == (1 if can_find else 2)
    assert len({one.dedup_key for one in office.has}) == 1


async def test_a_sender_whose_lease_is_about_to_end_does_not_send(store: CaseStore, clock: Clock):
    office = PostOffice(can_find=False)
    first = asyncio.Event()
    office.answers.append(first)
    await promise(store, clock(), 2)
    way = lane(store, office, clock)
    sending = asyncio.create_task(way.send_due())
    await office.trying.wait()
    clock.move(way.lease - office.deadline)
    first.set()
    await sending
    assert (await states(store), office.tries) == (["sent", "pending"], 1)
    async with store.reading() as tx:
        waiting = await tx.session.scalar(select(OutboxEntry).where(OutboxEntry.state == "pending"))
    assert waiting is not None
    assert waiting.attempts == 0, "it was not tried"


async def test_a_channel_that_hangs_holds_up_no_other(store: CaseStore, clock: Clock):
    hangs, works = PostOffice("email"), PostOffice("sms")
    never = asyncio.Event()
    hangs.answers.append(never)
    await promise(store, clock(), channel="email")
    await promise(store, clock(), channel="sms")
    slow = asyncio.create_task(lane(store, hangs, clock).send_due())
    await hangs.trying.wait()
    assert await lane(store, works, clock).send_due() == 1
    assert len(works.has) == 1
    assert not slow.done()
    never.set()
    await slow


async def test_a_dead_channel_is_tried_by_one_message_after_a_while(store: CaseStore, clock: Clock):
    office = PostOffice(answers=[Outcome.temporary("no route")] * 12)
    await promise(store, clock(), 12)
    way = lane(store, office, clock)
    await way.send_due()
    tries = office.tries
    assert await way.send_due() == 0
    clock.move(timedelta(minutes=6))
    office.answers.clear()
    assert await way.send_due() == 1
    assert office.tries == tries + 1
    await way.send_due()
    assert set(await states(store)) == {"sent"}


async def test_the_reader_is_addressed_in_their_language(store: CaseStore, clock: Clock):
    office = PostOffice()
    await promise(store, clock(), language="de-CH")
    await lane(store, office, clock).send_due()
    assert office.has[0].subject == "Probe von Casewright"


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("template", ["assigned", "overdue", "escalated", "warning"])
def test_a_case_that_is_not_for_every_eye_shows_nothing(monkeypatch: pytest.MonkeyPatch, template: str, language: str):
    monkeypatch.setattr(writing, "hides_content", lambda _case: True)
    facts = {
        "case": {"number": 7, "title": "Secret merger", "severity": "critical"},
        "task": {"title": "Ask the chairman", "stage": "Quiet stage"},
        "due": "2026-11-24T13:00:00+00:00", "rung": "1", "after": "1 h", "late_by": "2 h",
        "recipient": {"name": "Ada", "time_zone": None},
    }  # fmt: skip
    words = Writer(LINK).words(template, facts, cases.Case(number=7, title="Secret merger"), language)
    said = f"{words.subject} {words.text} {words.html} {words.sms}"
    assert not any(secret in said for secret in ("Secret", "merger", "chairman", "Quiet", "critical"))
    assert "CASE-7" in words.subject
    assert all(LINK in part for part in (words.text, words.html, words.sms))


async def test_an_own_template_that_fails_does_not_silence_the_message(
    store: CaseStore, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    own = tmp_path / "templates" / "en" / "test"
    own.mkdir(parents=True)
    (own / "subject.txt").write_text("{{ no_such_fact }}")
    office = PostOffice()
    await promise(store, clock())
    way = replace(lane(store, office, clock), writer=Writer(LINK, tmp_path / "templates"))
    await way.send_due()
    assert office.has[0].subject == "Test of Casewright"
    assert "no_such_fact" in caplog.text
