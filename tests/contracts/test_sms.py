"""Texts through Twilio's own SDK, pointed at a stand-in for its API on loopback."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from pydantic import SecretStr

from notifiers.contract import Outcome
from notifiers.settings import SmsConfig
from notifiers.sms import SmsNotifier
from notifiers.testing import example_message
from notifiers.testing.twilio import FakeTwilio, Garbled, Refusal

SERVICE = "MG" + "1" * 32


def notifier(twilio: FakeTwilio, **changes) -> SmsNotifier:
    config = {
        "account_sid": twilio.account_sid,
        "auth_token": SecretStr(twilio.auth_token),
        "messaging_service_sid": SERVICE,
        "base_url": twilio.url,
        **changes,
    }
    return SmsNotifier(SmsConfig(**config))


@asynccontextmanager
async def port_of_nobody() -> AsyncIterator[int]:
    """A port where a connection is made and nothing is ever said: encryption cannot begin."""
    talks: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: talks.append(writer), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in talks:
            writer.close()


async def send(twilio: FakeTwilio, *, config: dict | None = None, **changes) -> Outcome:
    sms = notifier(twilio, **(config or {}))
    try:
        return await sms.send(example_message(**changes))
    finally:
        await sms.close()


async def test_text_arrives_and_the_outcome_names_it():
    async with FakeTwilio() as twilio:
        outcome = await send(twilio)
        [text] = twilio.messages
    assert (outcome.kind, outcome.provider_ref, outcome.reason) == ("ok", text["sid"], "accepted")
    assert text["to"] == "+14155552671"
    assert text["body"] == "CASE-42: a task waits for you. https://casewright.example/t/1 [C42-E1B1]"
    assert text["messaging_service_sid"] == SERVICE
    assert text["from"] is None


async def test_text_may_come_from_one_number():
    async with FakeTwilio() as twilio:
        await send(twilio, config={"messaging_service_sid": None, "sender": "+1 415 555 0000"})
        [text] = twilio.messages
    assert text["from"] == "+14155550000"
    assert text["messaging_service_sid"] is None


async def test_one_notifier_sends_many_texts_at_once():
    async with FakeTwilio() as twilio:
        sms = notifier(twilio)
        outcomes = await asyncio.gather(*(sms.send(example_message()) for _ in range(20)))
        await sms.close()
        assert {outcome.provider_ref for outcome in outcomes} == {text["sid"] for text in twilio.messages}
    assert len(outcomes) == twilio.requests == 20


async def test_number_is_sent_in_e164_form():
    async with FakeTwilio() as twilio:
        outcome = await send(twilio, phone="+49 (0)30 123-4567")
        assert outcome.kind == "ok"
        assert twilio.messages[0]["to"] == "+49301234567"


@pytest.mark.parametrize("phone", [None, "", "garbage", "0151 1234567", "+1500", "+1" + "5" * 20], ids=repr)
async def test_a_number_that_makes_no_sense_is_not_asked_for(phone: str | None):
    async with FakeTwilio() as twilio:
        outcome = await send(twilio, phone=phone)
        assert twilio.requests == 0
    assert (outcome.kind, outcome.channel_fault) == ("permanent", False)


async def test_text_is_one_clean_line():
    async with FakeTwilio() as twilio:
        await send(twilio, sms_text="CASE-42\r\nApprove:\u2028 now\0\x1b[31m \ud800")
        assert twilio.messages[0]["body"] == "CASE-42 Approve: now[31m ? [C42-E1B1]"


@pytest.mark.parametrize("text", ["", " \n", "x" * 1590], ids=["empty", "blank", "long"])
async def test_text_of_impossible_length_is_not_sent(text: str):
    async with FakeTwilio() as twilio:
        outcome = await send(twilio, sms_text=text)
        assert twilio.requests == 0
    assert outcome.kind == "permanent"


async def test_longest_text_passes():
    async with FakeTwilio() as twilio:
        assert (await send(twilio, sms_text="x" * 1589)).kind == "ok"
        assert len(twilio.messages[0]["body"]) == 1600


async def test_opted_out_person_is_not_texted_again():
    async with FakeTwilio() as twilio:
        twilio.opted_out.add("+14155552671")
        outcome = await send(twilio)
        assert twilio.messages == []
    assert (outcome.kind, outcome.channel_fault, outcome.opted_out) == ("permanent", False, True)
    assert "21610" in outcome.reason
    assert "opted out" in outcome.reason


@pytest.mark.parametrize(
    ("fault", "kind", "channel_fault"),
    [
        (Refusal(400, 21211), "permanent", False),
        (Refusal(400, 21609), "permanent", True),
        (Refusal(400, 21614), "permanent", False),
        (Refusal(400, 21999), "permanent", False),
        (Refusal(400, 21606), "permanent", True),
        (Refusal(400, 21608), "permanent", True),
        (Refusal(404, 20404), "permanent", True),
        (Refusal(403, 20008), "permanent", True),
        (Refusal(429, 20429), "temporary", False),
        (Refusal(400, 21611), "temporary", False),
        (Refusal(500, 20500), "temporary", False),
        (Refusal(503, 20503), "temporary", False),
        (Garbled(503), "temporary", False),
        (Garbled(501), "temporary", False),
        (Garbled(502), "unknown", False),
        (Garbled(504), "unknown", False),
        (Garbled(302), "permanent", False),
        (Garbled(400), "permanent", False),
        (Garbled(201), "unknown", False),
        (Garbled(201, ""), "unknown", False),
        (Garbled(201, "{}"), "unknown", False),
        (Garbled(201, "[1]"), "unknown", False),
        (Garbled(201, '{"sid": ""}'), "unknown", False),
    ],
    ids=repr,
)
async def test_answer_is_judged_by_its_code(fault: Refusal | Garbled, kind: str, channel_fault: bool):
    async with FakeTwilio() as twilio:
        twilio.faults.append(fault)
        outcome = await send(twilio)
    assert twilio.requests == 1  # whatever the answer, the SDK does not ask again
    assert (outcome.kind, outcome.channel_fault) == (kind, channel_fault)
    assert outcome.reason.isprintable()
    assert outcome.provider_ref is None


@pytest.mark.parametrize(
    ("status", "error_code", "kind"),
    [("failed", 30005, "permanent"), ("failed", 30008, "temporary"), ("undelivered", "null", "temporary")],
)
async def test_text_given_up_at_once_is_not_called_sent(status: str, error_code: object, kind: str):
    async with FakeTwilio() as twilio:
        twilio.faults.append(Garbled(201, f'{{"sid": "SM1", "status": "{status}", "error_code": {error_code}}}'))
        outcome = await send(twilio)
    assert outcome.kind == kind
    assert "SM1" in outcome.reason


async def test_redirect_is_not_followed():
    """A POST repeated elsewhere would be a second text."""
    async with FakeTwilio() as twilio:
        again = f"{twilio.url}/2010-04-01/Accounts/{twilio.account_sid}/Messages.json"
        twilio.faults.append(Garbled(307, headers={"Location": again}))
        outcome = await send(twilio)
        assert (twilio.requests, twilio.messages) == (1, [])
    assert outcome.kind == "permanent"


async def test_each_text_has_a_connection_of_its_own():
    """A kept connection may have died unnoticed; a POST into it would leave doubt."""
    async with FakeTwilio() as twilio:
        sms = notifier(twilio)
        for _ in range(3):
            await sms.send(example_message())
        await sms.close()
        assert len(set(twilio.callers)) == 3


@pytest.mark.parametrize(
    ("header", "wait"),
    [("7", timedelta(seconds=7)), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("1e9", None)],
)
async def test_time_to_wait_is_passed_on(header: str, wait: timedelta | None):
    async with FakeTwilio() as twilio:
        twilio.faults.append(Refusal(429, 20429, headers={"Retry-After": header}))
        outcome = await send(twilio)
    assert (outcome.kind, outcome.retry_after) == ("temporary", wait)


async def test_line_cut_after_the_request_leaves_doubt_and_no_second_text():
    async with FakeTwilio() as twilio:
        twilio.faults.append("drop")
        outcome = await send(twilio)
        assert len(twilio.messages) == twilio.requests == 1
    assert outcome.kind == "unknown"


async def test_silence_after_the_request_ends_with_the_deadline_in_doubt():
    """The SDK's own timeout is ignored by the SDK, so the deadline is ours."""
    async with FakeTwilio() as twilio:
        twilio.faults.append("silence")
        outcome = await send(twilio, config={"deadline": 1.5, "connect_timeout": 1})
        assert len(twilio.messages) == twilio.requests == 1
    assert outcome.kind == "unknown"
    assert "1.5 s" in outcome.reason


async def test_nobody_at_the_port_is_tried_again(unused_tcp_port: int):
    async with FakeTwilio() as twilio:
        outcome = await send(twilio, config={"base_url": f"http://127.0.0.1:{unused_tcp_port}"})
        assert twilio.requests == 0
    assert outcome.kind == "temporary"


async def test_connection_that_does_not_come_about_is_harmless():
    async with FakeTwilio() as twilio, port_of_nobody() as port:
        outcome = await send(
            twilio, config={"base_url": f"https://127.0.0.1:{port}", "connect_timeout": 0.3, "deadline": 5}
        )
    assert outcome.kind == "temporary"


async def test_wrong_token_is_for_an_administrator():
    async with FakeTwilio() as twilio:
        outcome = await send(twilio, config={"auth_token": SecretStr("wrong")})
        assert twilio.messages == []
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)
    assert "20003" in outcome.reason


async def test_no_word_of_ours_holds_the_token_the_number_or_the_text(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with FakeTwilio() as twilio:
        sms = notifier(twilio)
        outcome = await sms.send(example_message())
        told = [repr(sms), repr(sms._config), str(sms._config), repr(sms._messages), repr(outcome), caplog.text]
        await sms.close()
    for secret in (twilio.auth_token, "4155552671", "a task waits"):
        assert [words for words in told if secret in words] == []


async def test_settings_of_the_process_do_not_steer_the_sdk(monkeypatch: pytest.MonkeyPatch):
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_EDGE", "TWILIO_REGION"):
        monkeypatch.setenv(name, "elsewhere")
    async with FakeTwilio() as twilio:
        sms = notifier(twilio)
        assert (await sms.send(example_message())).kind == "ok"
        assert sms._messages is not None
        client = sms._messages._client
        await sms.close()
    assert (client.edge or None, client.region or None) == (None, None)


async def test_close_may_come_twice_and_before_the_first_text():
    async with FakeTwilio() as twilio:
        sms = notifier(twilio)
        await sms.close()
        assert (await sms.send(example_message())).kind == "ok"
        await sms.close()
        await sms.close()
        assert sms.deadline == timedelta(seconds=15)


def test_sdk_is_loaded_by_the_first_text_only():
    code = "import sys, notifiers.sms; sys.exit('twilio' in sys.modules or 'aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0
