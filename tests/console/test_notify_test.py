"""`casewright notify test`: one real message, each step told, and what to do when it was not taken."""

import asyncio
import json
import os
import ssl
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr
from sqlalchemy import select

from case_store import contacts, find, people
from case_store.actor import Actor
from case_store.models import AuditEvent
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.notify_test import Asked, NoSuchChannel, NotWanted, next_step, notify_test
from notifiers.contract import Outcome
from notifiers.testing.rooms import FakeRooms, Reply
from notifiers.testing.smtp import SmtpServer
from notifiers.testing.twilio import FakeTwilio
from tests.ports import free_port

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
LOGIN = ("casewright", "made-up-password")


@dataclass
class Mail:
    """A mail server's certificate, and the file with which it is trusted."""

    tls: ssl.SSLContext
    ca_file: Path


@pytest.fixture
def mail(tmp_path: Path) -> Mail:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return Mail(context, tmp_path / "ca.pem")


def settings(server: SmtpServer, mail: Mail, **changes) -> dict:
    return {
        "smtp_host": server.host,
        "smtp_port": server.port,
        "smtp_user": LOGIN[0],
        "smtp_password": SecretStr(LOGIN[1]),
        "smtp_ca_file": mail.ca_file,
        "smtp_from": "SOC <soc@corp.example>",
        **changes,
    }


async def run(
    filled, capsys, channel: str | None = None, person: str = "dana", *, anyway: bool = False, **given
) -> tuple[int, str]:
    """Send a test message as the command does; give its exit code and what it printed."""
    made = Settings(prefect_api_url=f"http://127.0.0.1:{free_port()}/api", **given)
    code = await notify_test(made, Asked(person, channel, "dana", anyway))
    return code, capsys.readouterr().out


async def give_a_phone(handle: str) -> None:
    listed = f"handle,name,email,phone,manager,roles,time_zone\n{handle},Dana Okafor,,+14155552671,,,\n"
    store = await CaseStore.open(Settings())
    async with store.transaction() as tx:
        await people.import_(tx, people.parse_csv(listed), set(), by=Actor.system("engine"), at=NOW)
    await store.close()


async def on_record() -> list[AuditEvent]:
    store = await CaseStore.open(Settings())
    async with store.reading() as tx:
        wanted = select(AuditEvent).where(AuditEvent.type == "notification.tested")
        found = list(await tx.session.scalars(wanted))
    await store.close()
    return found


async def test_the_command_tells_each_step_and_a_letter_arrives(filled, mail: Mail):
    async with SmtpServer(tls=mail.tls, login=LOGIN) as server:
        words = {name.upper(): value for name, value in settings(server, mail, smtp_password=LOGIN[1]).items()}
        environment = {
            **os.environ,
            "CASEWRIGHT_PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
            **{f"CASEWRIGHT_{name}": str(value) for name, value in words.items()},
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "console", "notify", "test", "dana"),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = (piece.decode() for piece in await process.communicate())
        assert process.returncode == 0, out + err
        [got] = server.received
        port = server.port
    said = [line.strip(" -") for line in out.splitlines()]
    assert said[0].startswith("Prefect is not reached")
    assert said[1].startswith("test message to Dana")
    assert said[2].startswith(f"settings: 127.0.0.1 port {port}, starttls, login casewright")
    assert said[2].endswith("(from: environment)")
    assert said[3] == f"connect to 127.0.0.1 port {port}"
    assert said[4] == "demand encryption (STARTTLS)"
    assert said[5].startswith("encrypted with TLSv1.3")
    assert said[6:8] == ["log in as casewright", "logged in"]
    assert said[8].startswith("the mail server takes letters from soc@corp.example to ")
    assert said[9] == "taken: 250 2.0.0 ok: queued as 1"
    assert said[10] == f"reference: {got.letter['Message-ID']}"
    assert LOGIN[1] not in out + err
    assert err == ""


async def test_it_is_on_record_whatever_came_of_it(filled, capsys, mail: Mail):
    async with SmtpServer(tls=mail.tls, login=LOGIN) as server:
        given = settings(server, mail)
        assert (await run(filled, capsys, **given))[0] == 0
        code, _ = await run(filled, capsys, **{**given, "smtp_password": SecretStr("wrong")})
        assert code == 1
    good, bad = await on_record()
    store = await CaseStore.open(Settings())
    async with store.reading() as tx:
        dana = await find.person(tx, "dana")
    await store.close()
    for event, outcome in ((good, "ok"), (bad, "permanent")):
        facts = json.loads(event.body)["facts"]
        assert (facts["channel"], facts["outcome"]) == ("email", outcome)
        assert (event.actor_kind, event.actor_id, event.stream) == ("person", dana.id, f"person/{dana.id}")
    assert "535" not in bad.body  # what a server says may hold an address: it is committed to, and can be erased


@pytest.mark.parametrize(
    ("change", "step", "advice"),
    [
        ({"smtp_password": SecretStr("wrong")}, "logging in: 535", "user and the password"),
        ({"smtp_ca_file": None}, "not trusted", "CASEWRIGHT_SMTP_CA_FILE"),
        ({"smtp_security": "tls"}, "connecting", "Test again in a minute"),
        ({"smtp_port": 1}, "connecting", "Test again in a minute"),
    ],
    ids=["password", "certificate", "encryption", "port"],
)
async def test_it_says_where_it_failed_and_what_to_do(filled, capsys, mail: Mail, change: dict, step: str, advice: str):
    async with SmtpServer(tls=mail.tls, login=LOGIN) as server:
        code, out = await run(filled, capsys, **settings(server, mail, **change))
    assert code == 1
    assert step in out
    assert advice in out.partition("next: ")[2]
    assert LOGIN[1] not in out


async def test_each_channel_can_be_named(filled, capsys):
    await give_a_phone("dana")
    async with FakeTwilio() as twilio, FakeRooms(Reply(200, "{}")) as rooms:
        given = {
            "twilio_account_sid": twilio.account_sid,
            "twilio_auth_token": SecretStr(twilio.auth_token),
            "twilio_from": "MG" + "1" * 32,
            "twilio_url": twilio.url,
            "pagerduty_key": SecretStr("k" * 32),
            "pagerduty_url": rooms.url,
            "teams_url": SecretStr(f"{rooms.url}/hook"),
            "apprise": SecretStr(f"chat=ntfy://127.0.0.1:{rooms.port}/topic"),
        }
        for channel in ("sms", "pagerduty", "teams", "apprise:chat"):
            rooms.faults.extend([Reply(202)] * (channel == "pagerduty"))  # its way to say yes
            code, out = await run(filled, capsys, channel, **given)
            assert code == 0, f"{channel}: {out}"
        assert twilio.messages[0]["body"].startswith("TEST: This is a test")
        assert len(rooms.requests) == 3
        assert "k" * 32 not in out


async def test_who_opted_out_is_texted_only_if_that_is_said(filled, capsys):
    await give_a_phone("dana")
    await say_of_dana(contacts.opt_out, "sms")
    async with FakeTwilio() as twilio:
        texts = {
            "twilio_account_sid": twilio.account_sid,
            "twilio_auth_token": SecretStr(twilio.auth_token),
            "twilio_from": "MG" + "1" * 32,
            "twilio_url": twilio.url,
        }
        with pytest.raises(NoSuchChannel) as unreached:
            await run(filled, capsys, **texts)
        assert "sms (opted out)" in unreached.value.next_step
        with pytest.raises(NotWanted, match="wants nothing by sms") as refusal:
            await run(filled, capsys, channel="sms", **texts)
        assert "--anyway" in refusal.value.next_step
        assert await on_record() == []
        code, out = await run(filled, capsys, channel="sms", anyway=True, **texts)
        assert (code, "warning: dana opted out of sms" in out) == (0, True)
        await say_of_dana(contacts.mark_bad, "sms")
        code, out = await run(filled, capsys, channel="sms", anyway=True, **texts)
        assert (code, "reached nobody before" in out) == (0, True)


async def say_of_dana(verb, channel: str) -> None:
    store = await CaseStore.open(Settings())
    async with store.transaction() as tx:
        dana = await find.person(tx, "dana")
        await verb(tx, dana, channel, by=Actor.system("engine"), at=NOW, why="a test")
    await store.close()


async def test_a_channel_that_is_not_set_up_is_refused_with_those_that_are(filled, capsys):
    with pytest.raises(NoSuchChannel) as refusal:
        await run(filled, capsys, "sms", smtp_host="mail.corp.example")
    assert "sms is not set up" in refusal.value.diagnostics()
    assert "set up are: email" in refusal.value.diagnostics()
    with pytest.raises(NoSuchChannel, match="no channel that is set up reaches dana"):
        await run(filled, capsys)
    assert await on_record() == []


async def test_settings_that_do_not_do_are_refused_without_their_secrets(filled, capsys):
    with pytest.raises(NoSuchChannel) as refusal:
        await run(filled, capsys, slack_url=SecretStr("http://hooks.example/very-secret"))
    assert "unencrypted" in refusal.value.diagnostics()
    assert "very-secret" not in refusal.value.diagnostics()


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.permanent("x", opted_out=True), "another channel"),
        (Outcome.permanent("x", bad_address=True), "people import"),
        (Outcome.permanent("no phone number of Dana is on record"), "people import"),
        (Outcome.permanent("x", channel_fault=True), "settings of this channel"),
        (Outcome.permanent("Twilio 20003: wrong", channel_fault=True), "CASEWRIGHT_TWILIO_AUTH_TOKEN"),
        (Outcome.permanent("x"), "does not take this message"),
        (Outcome.temporary("x"), "Test again"),
        (Outcome.unknown("x"), "Ask dana"),
    ],
)
def test_every_outcome_has_a_next_step(outcome: Outcome, words: str):
    assert words in next_step(outcome, "dana")
