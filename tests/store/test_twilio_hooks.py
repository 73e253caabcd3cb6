"""Texts that come back, and what became of ours: signed by Twilio for our address, taken once, and never a decision."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select
from twilio.request_validator import RequestValidator

from case_store import access, find, outbox, replies, tasks
from case_store.links import LinkKeys
from case_store.models import AuditEvent, Note, OutboxEntry
from case_store.replies.taking import marker_digits
from case_store.settings import Settings
from case_store.store import CaseStore
from console.web.app import make
from console.web.site import Site
from notifiers.contract import Message, Recipient
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, World

URL = "https://soar.example.org"
TOKEN = "not-a-real-token"
BOB = "+4930901820"


@pytest.fixture
async def drill(store: CaseStore) -> World:
    made = await world.build(store)
    async with store.transaction() as tx:
        made.case = await find.case(tx, made.case.id, lock=True)
        made.case.severity = "high"
        tx.record("case.edited", made.case, by=ENGINE, at=NOW)
        await tx.flush()
        confirm = await world.task(tx, made, "confirm")
        await tasks.ask(tx, confirm, parameters=None, due_at=LATER, by=ENGINE, at=NOW)
    return made


@pytest.fixture
async def http(store: CaseStore) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(public_url=URL, twilio_auth_token=SecretStr(TOKEN))
    site = Site(store, LinkKeys(("k" * 43,)), settings, lambda: LATER)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make(site)), base_url="http://10.0.0.1:4280") as made:
        yield made


async def call(http: httpx.AsyncClient, hook: str, said: Mapping[str, str], url: str = URL) -> httpx.Response:
    path = f"/hooks/twilio/{hook}"
    signature = RequestValidator(TOKEN).compute_signature(f"{url}{path}", said)
    return await http.post(path, data=said, headers={"x-twilio-signature": signature})


async def text(http: httpx.AsyncClient, body: str, sid: str = "SM1", number: str = BOB) -> str:
    answer = await call(http, "inbound", {"From": number, "Body": body, "MessageSid": sid})
    assert answer.status_code == 200
    return answer.text


async def types(store: CaseStore) -> list[str]:
    async with store.reading() as tx:
        return list(await tx.session.scalars(select(AuditEvent.type)))


async def test_somebody_takes_care_by_text(store: CaseStore, drill: World, http: httpx.AsyncClient):
    assert "you take care of 1 task" in await text(http, "ack 1")
    async with store.reading() as tx:
        task = await world.task(tx, drill, "confirm")
        assert (task.acknowledged_by_id, task.acknowledged_via, task.state) == (drill.bob.id, "sms", "open")


async def test_a_text_that_comes_again_changes_nothing(store: CaseStore, drill: World, http: httpx.AsyncClient):
    came = await asyncio.gather(*(text(http, "hello") for _ in range(5)))
    assert sum("<Message>" in one for one in came) == 1
    assert (await types(store)).count("reply.received") == 1


@pytest.mark.parametrize("body", ["approve", "yes", "APPROVE 1", "done 1", "reject [C1-0000]", "ack 7", "ack"])
async def test_no_text_decides(store: CaseStore, drill: World, http: httpx.AsyncClient, body: str):
    assert "<Message>" in await text(http, body)
    async with store.reading() as tx:
        task = await world.task(tx, drill, "confirm")
        assert (task.state, task.acknowledged_at, task.decision) == ("open", None, None)


async def test_the_marker_of_a_message_makes_a_comment(store: CaseStore, drill: World, http: httpx.AsyncClient):
    async with store.reading() as tx:
        wanted = select(OutboxEntry).where(OutboxEntry.recipient_id == drill.bob.id, OutboxEntry.channel == "sms")
        key = (await tx.session.scalars(wanted)).one().dedup_key
    marker = Message(Recipient("Bob"), "", "", None, "", 1, key).marker
    assert marker == f"[C1-{marker_digits(key)}]"
    assert "Noted in CASE-1" in await text(http, f"I am on <b>leave</b> {marker}")
    async with store.reading() as tx:
        note = (await tx.session.scalars(select(Note))).one()
        assert note.body.startswith("Unverified, by sms, from the address of Bob: I am on <b>leave</b>")
    assert "Noted" not in await text(http, "I am on leave [C1-0000]", "SM2")
    assert "you take care of 1 task" in await text(http, f"ACK {marker}", "SM3")


@pytest.mark.parametrize("named", [True, False])
async def test_who_may_not_see_a_case_any_more_says_nothing_in_it(
    store: CaseStore, drill: World, http: httpx.AsyncClient, named: bool
):
    async with store.transaction() as tx:
        wanted = select(OutboxEntry).where(OutboxEntry.recipient_id == drill.bob.id, OutboxEntry.channel == "sms")
        marker = f"[C1-{marker_digits((await tx.session.scalars(wanted)).one().dedup_key)}]"
        case = await find.case(tx, drill.case.id, lock=True)
        await access.restrict(tx, case, [drill.bob] if named else ["manager"], "an insider", by=ENGINE, at=NOW)
    nowhere = (await text(http, "ack 77", "SM0")).replace("77", "1")
    assert (await text(http, "ack 1", "SM1") == nowhere) is not named
    assert ("Noted" in await text(http, f"It was Eve {marker}", "SM2")) is named
    async with store.reading() as tx:
        task = await world.task(tx, drill, "confirm")
        assert (task.acknowledged_at is not None) is named
        assert bool((await tx.session.scalars(select(Note))).all()) is named
    assert ("access.refused" in await types(store)) is not named


async def test_stop_and_start(store: CaseStore, drill: World, http: httpx.AsyncClient):
    assert "<Message>" not in await text(http, "Stop.")
    async with store.reading() as tx:
        assert (await find.person(tx, "bob")).opted_out == ["sms"]
    await text(http, "START", "SM2")
    async with store.reading() as tx:
        assert (await find.person(tx, "bob")).opted_out is None


async def test_stop_from_a_number_that_several_have_is_for_all_of_them(
    store: CaseStore, drill: World, http: httpx.AsyncClient
):
    async with store.transaction() as tx:
        world.new_person(tx, "bea", "tier1", phone=BOB)
    assert "<Message>" not in await text(http, "ack 1", "SM0"), "whose it is, nobody knows"
    for sid in ("SM1", "SM1"):
        assert "<Message>" not in await text(http, "STOP", sid)
    async with store.reading() as tx:
        assert [(await find.person(tx, who)).opted_out for who in ("bob", "bea", "mia")] == [["sms"], ["sms"], None]
    assert (await types(store)).count("person.opted_out") == 2
    await text(http, "start", "SM2")
    async with store.reading() as tx:
        assert [(await find.person(tx, who)).opted_out for who in ("bob", "bea")] == [None, None]
        task = await world.task(tx, drill, "confirm")
        assert task.acknowledged_at is None


async def test_a_stranger_hears_nothing(store: CaseStore, drill: World, http: httpx.AsyncClient):
    before = await types(store)
    assert "<Message>" not in await text(http, "ack 1", number="+4930901899")
    assert await types(store) == before


async def test_who_writes_too_often_is_not_answered(store: CaseStore, drill: World, http: httpx.AsyncClient):
    came = [await text(http, "hello", f"SM{number}") for number in range(7)]
    assert ["<Message>" in one for one in came] == [True] * 5 + [False] * 2


@pytest.mark.parametrize("hook", ["status", "inbound"])
async def test_what_is_not_signed_for_our_address_is_refused(
    store: CaseStore, drill: World, http: httpx.AsyncClient, hook: str
):
    said = {"From": BOB, "Body": "ack 1", "MessageSid": "SM1", "MessageStatus": "delivered"}
    before = await types(store)
    assert (await call(http, hook, said, url="http://10.0.0.1:4280")).status_code == 403
    path = f"/hooks/twilio/{hook}"
    assert (await http.post(path, data=said)).status_code == 403
    signature = RequestValidator(TOKEN).compute_signature(f"{URL}{path}", said)
    for changed in ({**said, "Body": "stop"}, {**said, "more": "x"}):
        answer = await http.post(path, data=changed, headers={"x-twilio-signature": signature})
        assert answer.status_code == 403
    assert (await http.get(path)).status_code == 405
    assert await types(store) == before


async def test_a_receipt_moves_its_message_and_once(store: CaseStore, drill: World, http: httpx.AsyncClient):
    async with store.transaction() as tx:
        claimed = await outbox.claim(tx, NOW, timedelta(minutes=1), 1, "token", channel="sms")
        await outbox.settle(tx, claimed[0], outbox.Result("ok", "SM77"), by=ENGINE, at=NOW)
    said = {"MessageSid": "SM77", "MessageStatus": "delivered"}
    for _ in range(3):
        assert (await call(http, "status", said)).status_code == 204
    assert (await call(http, "status", {"MessageSid": "SM78", "MessageStatus": "odd"})).status_code == 204
    assert (await types(store)).count("notification.delivered") == 1


async def test_without_twilio_there_are_no_hooks(store: CaseStore):
    site = Site(store, LinkKeys(("k" * 43,)), Settings(), lambda: LATER)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make(site)), base_url=URL) as http:
        assert (await call(http, "inbound", {"From": BOB})).status_code == 404


@pytest.mark.parametrize(
    ("words", "kind", "number", "digits"),
    [
        ("ACK 42", "acknowledge", 42, None),
        (" ack case-42! ", "acknowledge", 42, None),
        ("Ack [c42-7f3a]", "acknowledge", 42, "7F3A"),
        ("ack 42 but only the first", "other", None, None),
        ("I will not ack 42", "other", None, None),
        ("STOP", "stop", None, None),
        ("please stop", "other", None, None),
        ("unstop", "start", None, None),
        ("later [C42-7F3A]", "comment", 42, "7F3A"),
        ("", "other", None, None),
        ("\x00\ud800" * 3000, "other", None, None),
    ],
)
def test_few_words_count(words: str, kind: str, number: int | None, digits: str | None):
    said = replies.read(words)
    assert (said.kind, said.case_number, said.digits) == (kind, number, digits)
    assert len(said.text) <= replies.words.LONGEST
