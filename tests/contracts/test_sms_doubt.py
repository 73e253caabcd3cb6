"""Texts in doubt: Twilio is asked before anything is sent twice. And what it tells of a text later, by callback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from pydantic import SecretStr
from twilio.request_validator import RequestValidator

from notifiers.contract import Found, NotAsked, Outcome
from notifiers.settings import SmsConfig
from notifiers.sms import SmsNotifier
from notifiers.testing import example_message
from notifiers.testing.twilio import FakeTwilio, Garbled, Refusal
from tests.ports import free_port

SERVICE = "MG" + "1" * 32
AT = datetime(2026, 11, 24, 13, 0, 30, tzinfo=UTC)


@asynccontextmanager
async def set_up(clock: datetime = AT, **changes) -> AsyncIterator[tuple[FakeTwilio, SmsNotifier]]:
    async with FakeTwilio(clock=lambda: clock) as twilio:
        config = {
            "account_sid": twilio.account_sid,
            "auth_token": SecretStr(twilio.auth_token),
            "messaging_service_sid": SERVICE,
            "base_url": twilio.url,
            "deadline": 2,
            "connect_timeout": 1,
            **changes,
        }
        sms = SmsNotifier(SmsConfig(**config))
        try:
            yield twilio, sms
        finally:
            await sms.close()


async def until_settled(sms: SmsNotifier, tries: int = 3) -> Outcome:
    """Try as the contract asks: before every try but the first, ask the provider."""
    message = example_message()
    outcome = await sms.send(message)
    for _ in range(tries):
        if outcome.kind in {"ok", "permanent"}:
            break
        found = await sms.find(message, AT)
        if isinstance(found, Found):
            return Outcome.ok(found.provider_ref)
        outcome = await sms.send(message)
    return outcome


@pytest.mark.parametrize(
    "faults",
    [
        ["drop"],
        ["silence"],
        [Garbled(504), "drop"],
        [Garbled(201, "{}")],
        [Refusal(429, 20429, headers={"Retry-After": "1"})],
        [Refusal(500, 20500)],
        [Refusal(503, 20503), "drop"],
        [],
    ],
    ids=repr,
)
async def test_whatever_happens_to_the_answers_there_is_one_text(faults: list):
    async with set_up() as (twilio, sms):
        twilio.faults.extend(faults)
        outcome = await until_settled(sms)
        [text] = twilio.messages
        assert (outcome.kind, outcome.provider_ref) == ("ok", text["sid"])


async def test_asking_sends_nothing_and_finds_what_was_taken():
    async with set_up() as (twilio, sms):
        twilio.faults.append("drop")
        message = example_message()
        assert (await sms.send(message)).kind == "unknown"
        assert sms.can_find
        found = await sms.find(message, AT)
        assert found == Found(str(twilio.messages[0]["sid"]), "accepted")
        assert twilio.requests == 1


@pytest.mark.parametrize("other", [{"dedup_key": "another"}, {"phone": "+14155552672"}], ids=repr)
async def test_another_text_is_not_taken_for_it(other: dict):
    async with set_up() as (_, sms):
        assert (await sms.send(example_message(**other))).kind == "ok"
        assert await sms.find(example_message(), AT) is None


async def test_the_same_words_of_another_time_are_not_taken_for_it():
    async with set_up(AT - timedelta(minutes=6)) as (_, sms):
        assert (await sms.send(example_message())).kind == "ok"
        assert await sms.find(example_message(), AT) is None
        assert await sms.find(example_message(), AT - timedelta(minutes=2)) is not None  # clocks may differ


async def test_what_is_not_shown_yet_is_not_found():
    async with set_up() as (twilio, sms):
        twilio.faults.append("drop")
        await sms.send(example_message())
        twilio.shows = False
        assert await sms.find(example_message(), AT) is None
        twilio.shows = True
        assert await sms.find(example_message(), AT) is not None


@pytest.mark.parametrize(
    ("status", "code"), [("undelivered", 30003), ("failed", 30005), ("canceled", None), ("delivered", None)]
)
async def test_what_became_of_it_is_found_too(status: str, code: int | None):
    async with set_up() as (twilio, sms):
        await sms.send(example_message())
        twilio.messages[0].update(status=status, error_code=code)
        found = await sms.find(example_message(), AT)
        assert found == Found(str(twilio.messages[0]["sid"]), status, code and str(code))


async def test_a_repetition_that_arrived_counts_more_than_the_try_that_failed():
    async with set_up() as (twilio, sms):
        for _ in range(2):
            await sms.send(example_message())
        twilio.messages[1].update(status="undelivered", error_code=30003)
        found = await sms.find(example_message(), AT)
        assert found == Found(str(twilio.messages[0]["sid"]), "accepted")


@pytest.mark.parametrize(
    "fault", [Refusal(500, 20500), Refusal(429, 20429), Garbled(200), Garbled(200, "[]")], ids=repr
)
async def test_a_provider_that_does_not_tell_has_not_said_no(fault: Refusal | Garbled):
    """Taking it for a no would send the text again."""
    async with set_up() as (twilio, sms):
        await sms.send(example_message())
        twilio.list_faults.append(fault)
        found = await sms.find(example_message(), AT)
        assert isinstance(found, NotAsked)
        assert twilio.requests == 1


async def test_a_provider_that_is_not_reached_has_not_said_no():
    async with set_up(base_url=f"http://127.0.0.1:{free_port()}") as (_, sms):
        found = await sms.find(example_message(), AT)
        assert isinstance(found, NotAsked)


async def test_somebody_without_a_number_was_never_texted():
    async with set_up() as (twilio, sms):
        assert await sms.find(example_message(phone=None), AT) is None
        assert twilio.listings == 0


@pytest.mark.parametrize(
    ("code", "opted_out", "bad_address"),
    [(21610, True, False), (21211, False, True), (21614, False, True), (21408, False, False)],
)
async def test_a_refusal_says_whose_fault_it_is(code: int, opted_out: bool, bad_address: bool):
    async with set_up() as (twilio, sms):
        twilio.faults.append(Refusal(400, code))
        outcome = await sms.send(example_message())
        assert (outcome.opted_out, outcome.bad_address) == (opted_out, bad_address)


async def test_marker_ends_the_text_and_is_not_doubled():
    async with set_up() as (twilio, sms):
        marker = example_message().marker
        for text in ("For you", f"For you {marker}"):
            await sms.send(example_message(sms_text=text))
        assert [text["body"] for text in twilio.messages] == [f"For you {marker}"] * 2


@pytest.mark.parametrize(
    ("useful_for", "seconds"),
    [
        (None, None),
        (timedelta(minutes=15), "900"),
        (timedelta(days=3), "36000"),
        (timedelta(0), "10"),
        (timedelta(seconds=-5), "10"),
    ],
)
async def test_text_is_thrown_away_once_it_is_useless(useful_for: timedelta | None, seconds: str | None):
    async with set_up() as (twilio, sms):
        assert (await sms.send(example_message(useful_for=useful_for))).kind == "ok"
        assert twilio.forms[0].get("ValidityPeriod") == seconds


@asynccontextmanager
async def told() -> AsyncIterator[tuple[str, list[dict]]]:
    """An address that hears what Twilio tells, and keeps what is signed with the account's token."""
    heard: list[dict] = []

    async def hear(request: web.Request) -> web.Response:
        form = dict(await request.post())
        validator = RequestValidator(FakeTwilio.auth_token)
        if not validator.validate(url, form, request.headers["X-Twilio-Signature"]):
            return web.Response(status=403)
        heard.append(form)
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/hooks/twilio/status", hear)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    url = f"http://127.0.0.1:{port}/hooks/twilio/status"
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield url, heard
    finally:
        await runner.cleanup()


async def test_callbacks_come_signed_in_any_order_and_more_than_once():
    """So does Twilio's: whoever hears them must not go back."""
    async with told() as (url, heard), set_up(status_callback=url) as (twilio, sms):
        sid = (await sms.send(example_message())).provider_ref
        assert sid is not None
        for status, code in (("delivered", None), ("sent", None), ("delivered", None), ("undelivered", 30003)):
            assert await twilio.tell(sid, status, code) == 204
        assert [one["MessageStatus"] for one in heard] == ["delivered", "sent", "delivered", "undelivered"]
        assert {one["MessageSid"] for one in heard} == {sid}
        assert heard[-1]["ErrorCode"] == "30003"


async def test_without_an_address_nothing_is_told():
    async with set_up() as (twilio, sms):
        outcome = await sms.send(example_message())
        with pytest.raises(KeyError):
            await twilio.tell(str(outcome.provider_ref), "delivered")
