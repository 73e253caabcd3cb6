"""Everything a mail server can do wrong, one fault a row: is the letter gone, lost for good, to be tried again, or in
doubt? And is the person at fault, or the channel?"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from notifiers.email import EmailNotifier
from notifiers.settings import EmailConfig, SmsConfig
from notifiers.sms import SmsNotifier
from notifiers.testing import example_message
from notifiers.testing.twilio import FakeTwilio
from tests.smtp_faults import CUT, DRIP, HANG, PLAIN, FaultyServer

NO_AUTH = "250-mail.corp.example\r\n250 PIPELINING"
NO_TLS = "250-mail.corp.example\r\n250 AUTH PLAIN"
SHORT = {"step_timeout": 0.4, "receipt_timeout": 0.4, "deadline": 3.0}

# step, fault, outcome, channel at fault, address at fault
FAULTS = [
    ("greeting", "421 4.3.2 too busy", "temporary", False, False),
    ("greeting", "554 5.3.2 no mail service here", "permanent", True, False),
    ("greeting", "HTTP/1.1 400 Bad Request", "temporary", False, False),
    ("greeting", CUT, "temporary", False, False),
    ("greeting", HANG, "temporary", False, False),
    ("greeting", DRIP, "temporary", False, False),
    ("first EHLO", NO_TLS, "permanent", True, False),
    ("first EHLO", CUT, "temporary", False, False),
    ("first EHLO", HANG, "temporary", False, False),
    ("STARTTLS", "454 4.7.0 TLS not available", "temporary", False, False),
    ("STARTTLS", "502 5.5.1 not implemented", "permanent", True, False),
    ("STARTTLS", HANG, "temporary", False, False),
    ("tls", PLAIN, "temporary", False, False),
    ("tls", CUT, "temporary", False, False),
    ("tls", HANG, "temporary", False, False),
    ("EHLO", NO_AUTH, "permanent", True, False),
    ("EHLO", CUT, "temporary", False, False),
    ("AUTH", "454 4.7.0 password check is broken", "temporary", False, False),
    ("AUTH", "535 5.7.8 wrong password", "permanent", True, False),
    ("AUTH", CUT, "temporary", False, False),
    ("AUTH", HANG, "temporary", False, False),
    ("MAIL", "451 4.3.0 later", "temporary", False, False),
    ("MAIL", "550 5.7.1 this sender is not yours", "permanent", True, False),
    ("MAIL", CUT, "temporary", False, False),
    ("MAIL", HANG, "temporary", False, False),
    ("RCPT", "451 4.7.1 greylisted", "temporary", False, False),
    ("RCPT", "452 4.2.2 mailbox full", "temporary", False, False),
    ("RCPT", "550 5.1.1 no such mailbox", "permanent", False, True),
    ("RCPT", "550-5.1.1 no such\r\n550 5.1.1 mailbox", "permanent", False, True),
    ("RCPT", "550 5.7.1 policy", "permanent", False, False),
    ("RCPT", CUT, "temporary", False, False),
    ("RCPT", DRIP, "temporary", False, False),
    ("DATA", "451 4.3.0 later", "temporary", False, False),
    ("DATA", "554 5.5.1 no", "permanent", False, False),
    ("DATA", HANG, "temporary", False, False),
    ("content", CUT, "unknown", False, False),
    ("content", HANG, "unknown", False, False),
    ("dot", "451 4.3.0 try again", "temporary", False, False),
    ("dot", "552 5.3.4 too big", "permanent", False, False),
    ("dot", "554 5.7.1 looks like spam", "permanent", False, False),
    ("dot", "99 what", "unknown", False, False),
    ("dot", CUT, "unknown", False, False),
    ("dot", HANG, "unknown", False, False),
    ("dot", DRIP, "unknown", False, False),
]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusted(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def certificate(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@asynccontextmanager
async def mail_to(server: FaultyServer, trusted: Path, **changes) -> AsyncIterator[EmailNotifier]:
    config = {"sender": "soc@corp.example", "username": "casewright", "password": SecretStr("secret"), **SHORT}
    settings = EmailConfig(host="127.0.0.1", port=server.port, ca_file=trusted, **{**config, **changes})
    mail = EmailNotifier(settings)
    yield mail
    await mail.close()


def test_there_are_forty_faults_and_more():
    assert len({(step, fault) for step, fault, *_ in FAULTS}) == len(FAULTS) >= 40


@pytest.mark.parametrize(("step", "fault", "kind", "channel_fault", "bad_address"), FAULTS, ids=repr)
async def test_each_fault_is_judged(  # one row of the table
    authority: trustme.CA, trusted: Path, step: str, fault: str, kind: str, channel_fault: bool, bad_address: bool
):
    async with FaultyServer(certificate(authority), step, fault) as server, mail_to(server, trusted) as mail:
        outcome = await mail.send(example_message())
        assert (outcome.kind, outcome.channel_fault, outcome.bad_address) == (kind, channel_fault, bad_address), outcome
        assert (outcome.provider_ref is None) == (kind != "unknown"), (
            "a bounce finds what is in doubt by its Message-ID"
        )
        assert outcome.reason.isprintable()
        assert len(server.letters) == (step == "dot")  # gone wherever we say nothing of the kind: in doubt, or refused


async def test_without_a_fault_the_letter_goes(authority: trustme.CA, trusted: Path):
    """Else the table would prove nothing."""
    async with FaultyServer(certificate(authority), "none", "") as server, mail_to(server, trusted) as mail:
        outcome = await mail.send(example_message())
        assert (outcome.kind, outcome.reason) == ("ok", "250 2.0.0 queued as 17")
        assert len(server.letters) == 1


async def test_one_recipient_of_two_is_refused_and_the_other_gets_the_letter(authority: trustme.CA, trusted: Path):
    """One letter for each person, so that no answer about one of them is lost among the others."""
    no = "550 5.1.1 no such mailbox"
    async with (
        FaultyServer(certificate(authority), "RCPT", no, only="bob@") as server,
        mail_to(server, trusted) as mail,
    ):
        people = ("ana@corp.example", "bob@corp.example", "cyd@corp.example")
        outcomes = [await mail.send(example_message(email=email, dedup_key=email)) for email in people]
        assert [outcome.kind for outcome in outcomes] == ["ok", "permanent", "ok"]
        assert [("ana@" in who, "cyd@" in who) for who in server.letters] == [(True, False), (False, True)]


@pytest.mark.parametrize("fault", [HANG, DRIP])
async def test_a_mail_server_that_is_stuck_delays_nobody_else(authority: trustme.CA, trusted: Path, fault: str):
    async with FakeTwilio() as twilio, FaultyServer(certificate(authority), "RCPT", fault) as server:
        sms = SmsNotifier(
            SmsConfig(
                account_sid=twilio.account_sid,
                auth_token=SecretStr(twilio.auth_token),
                messaging_service_sid="MG" + "1" * 32,
                base_url=twilio.url,
            )
        )
        async with mail_to(server, trusted, step_timeout=30, deadline=60) as mail:
            letters = [asyncio.create_task(mail.send(example_message(dedup_key=f"k{n}"))) for n in range(10)]
            await server.stuck.wait()
            assert (await sms.send(example_message())).kind == "ok"
            assert not any(letter.done() for letter in letters)
            for letter in letters:
                letter.cancel()
            await asyncio.gather(*letters, return_exceptions=True)
        await sms.close()
