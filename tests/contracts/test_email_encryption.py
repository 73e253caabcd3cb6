"""E-mail over encrypted lines and with a password: what is demanded is had, or nothing is sent."""

import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from notifiers.contract import Outcome
from notifiers.email import EmailNotifier
from notifiers.errors import SettingsRefused
from notifiers.settings import EmailConfig
from notifiers.testing import example_message
from notifiers.testing.smtp import SmtpServer

PASSWORD = "pässwörd-nobody-may-see"
LOGIN = ("casewright", PASSWORD)
LATER = "454 4.7.0 temporary authentication failure"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusted(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate to trust, as a file."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def certificate(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


_made: list[EmailNotifier] = []


@pytest.fixture(autouse=True)
async def _nothing_stays_open() -> AsyncIterator[None]:
    yield
    while _made:
        await _made.pop().close()


def notifier(server: SmtpServer, ca_file: Path | None, *, password: str | None = None, **changes) -> EmailNotifier:
    login = {} if password is None else {"username": LOGIN[0], "password": SecretStr(password)}
    config = {"host": server.host, "port": server.port, "sender": "soc@corp.example", "ca_file": ca_file}
    _made.append(EmailNotifier(EmailConfig(**config, **login, **changes)))
    return _made[-1]


async def send(server: SmtpServer, ca_file: Path | None, **changes) -> Outcome:
    return await notifier(server, ca_file, **changes).send(example_message())


@pytest.mark.parametrize("encryption", ["starttls", "implicit"])
async def test_letter_travels_encrypted_and_logged_in(authority: trustme.CA, trusted: Path, encryption: str):
    implicit = encryption == "implicit"
    async with SmtpServer(tls=certificate(authority), implicit=implicit, login=LOGIN) as server:
        outcome = await send(server, trusted, password=PASSWORD, encryption=encryption)
        [got] = server.received
    assert outcome.kind == "ok"
    assert got.encrypted
    assert got.login == "casewright"


async def test_server_without_starttls_gets_neither_letter_nor_password(trusted: Path):
    async with SmtpServer(login=LOGIN) as server:
        outcome = await send(server, trusted, password=PASSWORD)
        assert server.received == []
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)
    assert "STARTTLS" in outcome.reason


async def test_clear_line_carries_no_password():
    async with SmtpServer(login=LOGIN) as server:
        outcome = await send(server, None, password=PASSWORD, encryption="none")
        assert server.received == []
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)
    assert "AUTH" in outcome.reason


@pytest.mark.parametrize("encryption", ["starttls", "implicit"])
async def test_certificate_of_a_stranger_is_not_trusted(trusted: Path, encryption: str):
    stranger = certificate(trustme.CA())
    async with SmtpServer(tls=stranger, implicit=encryption == "implicit") as server:
        outcome = await send(server, trusted, encryption=encryption)
        assert server.received == []
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)
    assert "not trusted" in outcome.reason


@pytest.mark.parametrize("encryption", ["starttls", "implicit"])
async def test_certificate_of_another_host_is_not_trusted(authority: trustme.CA, trusted: Path, encryption: str):
    other = certificate(authority, "mail.elsewhere.example")
    async with SmtpServer(tls=other, implicit=encryption == "implicit") as server:
        outcome = await send(server, trusted, encryption=encryption)
        assert server.received == []
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)


async def test_system_certificates_do_not_trust_ours(authority: trustme.CA):
    async with SmtpServer(tls=certificate(authority)) as server:
        outcome = await send(server, None)
        assert server.received == []
    assert outcome.kind == "permanent"


async def test_server_that_demands_encryption_refuses_a_clear_line(authority: trustme.CA):
    async with SmtpServer(tls=certificate(authority)) as server:
        outcome = await send(server, None, encryption="none")
        assert server.received == []
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)
    assert "530" in outcome.reason


async def test_wrong_password_is_for_an_administrator(authority: trustme.CA, trusted: Path):
    async with SmtpServer(tls=certificate(authority), login=LOGIN) as server:
        outcome = await send(server, trusted, password="wrong")
        assert server.received == []
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)
    assert "535" in outcome.reason


async def test_broken_password_check_is_tried_again(authority: trustme.CA, trusted: Path):
    """The library raises the same class for both; only the code tells."""
    async with SmtpServer(tls=certificate(authority), login=LOGIN, answers={"AUTH": LATER}) as server:
        outcome = await send(server, trusted, password=PASSWORD)
    assert outcome.kind == "temporary"
    assert LATER in outcome.reason


async def test_missing_login_is_for_an_administrator(authority: trustme.CA, trusted: Path):
    async with SmtpServer(tls=certificate(authority), login=LOGIN) as server:
        outcome = await send(server, trusted)
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)
    assert "530" in outcome.reason


@pytest.mark.parametrize("answers", [{}, {"AUTH": LATER}, {"AUTH": "535 5.7.8 no"}])
async def test_no_word_of_ours_holds_the_password(
    authority: trustme.CA, trusted: Path, answers: dict, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, "notifiers")
    caplog.set_level(logging.DEBUG, "aiosmtplib")
    async with SmtpServer(tls=certificate(authority), login=LOGIN, answers=answers) as server:
        mail = notifier(server, trusted, password=PASSWORD)
        outcome = await mail.send(example_message())
    told = [repr(mail), repr(mail._config), str(mail._config), repr(outcome), caplog.text]
    assert [words for words in told if PASSWORD in words] == []


def test_trusted_file_that_cannot_be_read_is_refused_at_once(tmp_path: Path):
    nonsense = tmp_path / "ca.pem"
    nonsense.write_text("not a certificate")
    for path in (nonsense, tmp_path / "missing.pem"):
        with pytest.raises(SettingsRefused) as refusal:
            EmailNotifier(EmailConfig(host="mail.corp.example", sender="soc@corp.example", ca_file=path))
        assert str(path) in refusal.value.diagnostics()
        assert "next: " in refusal.value.diagnostics()
