"""PagerDuty, Slack, Teams and what Apprise reaches: the exact request that each sends, and how answers are judged."""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from pydantic import SecretStr

from notifiers.apprise_target import AppriseNotifier
from notifiers.contract import NotAsked, Notifier
from notifiers.errors import SettingsRefused
from notifiers.pagerduty import PagerDutyNotifier
from notifiers.room_settings import AppriseConfig, PagerDutyConfig, WebhookConfig
from notifiers.slack import SlackNotifier
from notifiers.teams import TeamsNotifier
from notifiers.testing import example_message
from notifiers.testing.rooms import FakeRooms, Reply
from tests.ports import free_port

KEY = "made-up-integration-key-of-32-chr"
SHORT = {"connect_timeout": 0.5, "deadline": 1.5}
USUAL = {
    "pagerduty": Reply(202, '{"status":"success","message":"Event processed","dedup_key":"x"}'),
    "slack": Reply(200, "ok"),
    "teams": Reply(202, headers={"x-ms-workflow-run-id": "0858run"}),
    "apprise": Reply(200, "{}"),
}
BY_HTTP = ("pagerduty", "slack", "teams")


def pagerduty(url: str, **changes) -> Notifier:
    return PagerDutyNotifier(PagerDutyConfig(routing_key=SecretStr(KEY), url=url, **{**SHORT, **changes}))


def slack(url: str, **changes) -> Notifier:
    return SlackNotifier(WebhookConfig(service="Slack", url=SecretStr(f"{url}/services/T0/B0/{KEY}"), **SHORT))


def teams(url: str, **changes) -> Notifier:
    return TeamsNotifier(WebhookConfig(service="Teams", url=SecretStr(f"{url}/workflows/1?sig={KEY}"), **SHORT))


def apprise(url: str, **changes) -> Notifier:
    target = url.replace("http://", f"ntfy://{KEY}@") + "/on-call?auth=token"
    return AppriseNotifier(AppriseConfig(name="chat", url=SecretStr(target), deadline=1.5))


MAKE: dict[str, Callable[..., Notifier]] = {"pagerduty": pagerduty, "slack": slack, "teams": teams, "apprise": apprise}


@asynccontextmanager
async def set_up(which: str, **changes) -> AsyncIterator[tuple[FakeRooms, Notifier]]:
    async with FakeRooms(USUAL[which]) as rooms:
        notifier = MAKE[which](rooms.url, **changes)
        try:
            yield rooms, notifier
        finally:
            await notifier.close()


async def test_pagerduty_gets_one_alert_under_the_message_key():
    async with set_up("pagerduty") as (rooms, notifier):
        outcome = await notifier.send(example_message(link="https://casewright.example/t/1"))
        [request] = rooms.requests
    assert (request.method, request.path) == ("POST", "/v2/enqueue")
    assert request.headers["content-type"] == "application/json"
    assert request.json == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": "case-42:block_sender:assigned:0:ana:email",
        "client": "Casewright",
        "client_url": "https://casewright.example/t/1",
        "payload": {
            "summary": "[CASE-42] For you: Block the sender",
            "source": "Casewright",
            "severity": "critical",
            "group": "CASE-42",
            "custom_details": {"for": "Ana Example", "text": "Ana, a task waits for you.\n"},
        },
    }
    assert (outcome.kind, outcome.provider_ref) == ("ok", "case-42:block_sender:assigned:0:ana:email")


async def test_pagerduty_is_told_to_call_nobody_any_more():
    async with set_up("pagerduty") as (rooms, notifier):
        assert isinstance(notifier, PagerDutyNotifier)
        await notifier.send(example_message())
        rooms.faults.append("drop")
        assert (await notifier.close_alert(example_message())).kind == "temporary"
        assert (await notifier.close_alert(example_message())).kind == "ok"
        raised, *closed = (request.json for request in rooms.requests)
    for one in closed:
        assert one == {
            "routing_key": raised["routing_key"],
            "event_action": "resolve",
            "dedup_key": raised["dedup_key"],
        }


async def test_pagerduty_key_is_never_longer_than_it_takes():
    async with set_up("pagerduty") as (rooms, notifier):
        for key in ("k" * 255, "k" * 256, "k" * 256):
            await notifier.send(example_message(dedup_key=key))
        first, second, again = (request.json["dedup_key"] for request in rooms.requests)
    assert first == "k" * 255
    assert second == again != first
    assert len(second) == 64


@pytest.mark.parametrize("fault", ["drop", "silence", Reply(502), Reply(504)], ids=repr)
async def test_what_is_in_doubt_at_pagerduty_is_sent_again_under_the_same_key(fault):
    async with set_up("pagerduty") as (rooms, notifier):
        rooms.faults.append(fault)
        assert [(await notifier.send(example_message())).kind for _ in range(2)] == ["temporary", "ok"]
        assert len({request.json["dedup_key"] for request in rooms.requests}) == 1


async def test_pagerduty_that_does_not_know_the_key_is_for_an_administrator():
    async with set_up("pagerduty") as (rooms, notifier):
        rooms.faults.append(Reply(400, '{"status":"invalid event","errors":["routing_key is invalid"]}'))
        outcome = await notifier.send(example_message())
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)


async def test_slack_gets_plain_words():
    async with set_up("slack") as (rooms, notifier):
        outcome = await notifier.send(example_message(link="https://casewright.example/t/1"))
        [request] = rooms.requests
    assert (request.method, request.path) == ("POST", f"/services/T0/B0/{KEY}")
    assert request.headers["content-type"] == "application/json;charset=utf-8"
    assert request.json == {
        "text": "[CASE-42] For you: Block the sender\nAna, a task waits for you.\nhttps://casewright.example/t/1",
        "unfurl_links": False,
        "unfurl_media": False,
    }
    assert (outcome.kind, outcome.provider_ref) == ("ok", "case-42:block_sender:assigned:0:ana:email")


async def test_slack_calls_nobody_because_of_what_an_alert_says():
    async with set_up("slack") as (rooms, notifier):
        await notifier.send(example_message(subject="<!channel> <@U123>", text="<https://evil.example|ok> & so\n"))
        text = rooms.requests[0].json["text"]
    assert "<" not in text
    assert "&lt;!channel&gt;" in text
    assert "&amp; so" in text


async def test_slack_that_answers_a_page_has_not_said_yes():
    async with set_up("slack") as (rooms, notifier):
        rooms.faults.append(Reply(200, "<html>log in</html>"))
        assert (await notifier.send(example_message())).kind == "unknown"


async def test_teams_gets_one_card():
    async with set_up("teams") as (rooms, notifier):
        outcome = await notifier.send(example_message(text="One.\n\nTwo.\n", link="https://casewright.example/t/1"))
        [request] = rooms.requests
    assert (request.method, request.path) == ("POST", f"/workflows/1?sig={KEY}")
    assert request.headers["content-type"] == "application/json"

    def line(text: str, **more) -> dict:
        return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **more}]}

    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [line("[CASE-42] For you: Block the sender", weight="Bolder"), line("One."), line("Two.")],
        "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": "https://casewright.example/t/1"}],
    }
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    assert request.json == {"type": "message", "attachments": [card]}
    assert (outcome.kind, outcome.provider_ref) == ("ok", "0858run")


async def test_teams_card_stays_small_enough():
    async with set_up("teams") as (rooms, notifier):
        await notifier.send(example_message(text="日" * 100_000))
        assert len(json.dumps(rooms.requests[0].json, ensure_ascii=False).encode()) < 28_000


async def test_apprise_gets_title_and_text():
    async with set_up("apprise") as (rooms, notifier):
        outcome = await notifier.send(example_message(link="https://casewright.example/t/1"))
        [request] = rooms.requests
    assert notifier.channel == "apprise:chat"
    assert request.method == "POST"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.json == {
        "topic": "on-call",
        "title": "[CASE-42] For you: Block the sender",
        "message": "Ana, a task waits for you.\nhttps://casewright.example/t/1",
    }
    assert outcome.kind == "ok"


@pytest.mark.parametrize("fault", [Reply(500), Reply(403), Reply(404), "drop"], ids=repr)
async def test_apprise_that_fails_is_tried_again(fault):
    async with set_up("apprise") as (rooms, notifier):
        rooms.faults.append(fault)
        assert [(await notifier.send(example_message())).kind for _ in range(2)] == ["temporary", "ok"]


async def test_apprise_that_hangs_holds_nobody_up():
    async with set_up("apprise") as (rooms, notifier):
        rooms.faults.append("silence")
        hanging = asyncio.create_task(notifier.send(example_message()))
        await rooms.stuck.wait()
        assert (await notifier.send(example_message())).kind == "ok"
        assert not hanging.done()
        assert (await hanging).kind == "unknown"


@pytest.mark.parametrize("which", BY_HTTP)
@pytest.mark.parametrize(
    ("fault", "kind", "channel_fault"),
    [
        (Reply(400, "invalid_payload"), "permanent", False),
        (Reply(401), "permanent", True),
        (Reply(403, "action_prohibited"), "permanent", True),
        (Reply(404, "no_service"), "permanent", True),
        (Reply(410, "channel_is_archived"), "permanent", True),
        (Reply(413), "permanent", False),
        (Reply(429, headers={"Retry-After": "7"}), "temporary", False),
        (Reply(500, "rollup_error"), "temporary", False),
        (Reply(503), "temporary", False),
        (Reply(507), "temporary", False),
    ],
    ids=repr,
)
async def test_answer_is_judged_by_its_status(which: str, fault: Reply, kind: str, channel_fault: bool):
    async with set_up(which) as (rooms, notifier):
        rooms.faults.append(fault)
        outcome = await notifier.send(example_message())
        assert len(rooms.requests) == 1  # nobody asks again by itself
    assert (outcome.kind, outcome.channel_fault) == (kind, channel_fault)
    assert outcome.retry_after == (timedelta(seconds=7) if fault.status == 429 else None)
    assert outcome.reason.isprintable()


@pytest.mark.parametrize("which", ["slack", "teams"])
@pytest.mark.parametrize("fault", ["drop", "silence", Reply(502), Reply(504)], ids=repr)
async def test_what_is_in_doubt_is_said_to_be(which: str, fault):
    async with set_up(which) as (rooms, notifier):
        rooms.faults.append(fault)
        assert (await notifier.send(example_message())).kind == "unknown"
        assert len(rooms.requests) == 1


@pytest.mark.parametrize("which", ["pagerduty", "teams"])
async def test_redirect_is_not_followed(which: str):
    async with set_up(which) as (rooms, notifier):
        rooms.faults.append(Reply(307, headers={"Location": f"{rooms.url}/elsewhere"}))
        outcome = await notifier.send(example_message())
        assert len(rooms.requests) == 1
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)


@pytest.mark.parametrize("which", [*BY_HTTP, "apprise"])
async def test_nobody_at_the_port_is_tried_again(which: str):
    notifier = MAKE[which](f"http://127.0.0.1:{free_port()}")
    assert (await notifier.send(example_message())).kind == "temporary"
    await notifier.close()


@pytest.mark.parametrize("which", BY_HTTP)
async def test_certificate_of_a_stranger_is_for_an_administrator(which: str):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        notifier = MAKE[which](f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        outcome = await notifier.send(example_message())
        await notifier.close()
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)


@pytest.mark.parametrize("which", [*BY_HTTP, "apprise"])
@pytest.mark.parametrize("fault", [None, Reply(403, "no"), "drop"], ids=repr)
async def test_no_word_of_ours_holds_the_secret_or_the_message(which: str, fault, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with set_up(which) as (rooms, notifier):
        rooms.faults.extend([fault] * (fault is not None))
        outcome = await notifier.send(example_message())
        told = [repr(notifier), repr(notifier._config), repr(outcome), caplog.text]
    for secret in (KEY, "a task waits"):
        assert [words for words in told if secret in words] == []


@pytest.mark.parametrize("which", [*BY_HTTP, "apprise"])
async def test_none_of_them_can_be_asked_and_all_close_twice(which: str):
    async with set_up(which) as (_, notifier):
        assert not notifier.can_find
        found = await notifier.find(example_message(), datetime(2026, 11, 24, tzinfo=UTC))
        assert isinstance(found, NotAsked)
        await notifier.close()
        await notifier.close()
        assert (await notifier.send(example_message())).kind == "ok"
        assert notifier.deadline <= timedelta(seconds=30)
    assert PagerDutyNotifier(PagerDutyConfig(routing_key=SecretStr(KEY))).deadline == timedelta(seconds=15)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "json://example.org",
        "jsons://example.org",
        "form://example.org",
        "syslog://",
        "dbus://",
        "mailto://u:p@example.org",
        "ntfy://example.org/topic",
        "mmost://10.0.0.1/token",
        "vapid://x",
        "exec://x",
        "apprises://example.org",
        "ntfys://example.org/topic?verify=no",
        "ntfys://example.org/topic?verify=",
        "NTFYS-2://x",
        "",
    ],
)
def test_apprise_reaches_only_what_is_allowed(url: str):
    with pytest.raises(SettingsRefused) as refusal:
        AppriseConfig(name="chat", url=SecretStr(url))
    assert "next: " in refusal.value.diagnostics()
    assert not url or url not in refusal.value.diagnostics()


@pytest.mark.parametrize("name", ["", "Chat", "a b", "a:b", "ä", "-a", "x" * 33])
def test_apprise_targets_have_plain_names(name: str):
    with pytest.raises(SettingsRefused):
        AppriseConfig(name=name, url=SecretStr("ntfys://ntfy.example/topic"))


def test_apprise_address_that_makes_no_sense_is_refused_without_showing_it():
    with pytest.raises(SettingsRefused) as refusal:
        AppriseNotifier(AppriseConfig(name="chat", url=SecretStr("discord://only-half-of-it")))
    assert "only-half-of-it" not in refusal.value.diagnostics()


@pytest.mark.parametrize(
    "url", ["http://hooks.slack.example/x", "ftp://hooks.slack.example", "hooks", "https://", "[x"]
)
@pytest.mark.parametrize("service", ["Slack", "Teams"])
def test_webhook_that_is_not_encrypted_is_refused(service: str, url: str):
    with pytest.raises(SettingsRefused, match=service):
        WebhookConfig(service=service, url=SecretStr(url))


def test_pagerduty_settings_that_make_no_sense_are_refused():
    with pytest.raises(SettingsRefused, match="empty"):
        PagerDutyConfig(routing_key=SecretStr(" "))
    with pytest.raises(SettingsRefused, match="unencrypted"):
        PagerDutyConfig(routing_key=SecretStr(KEY), url="http://events.pagerduty.example")
