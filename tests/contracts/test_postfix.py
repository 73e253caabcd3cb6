"""E-mail through a real mail server: Postfix with STARTTLS and a login, and what it hands on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from notifiers.email import EmailNotifier
from notifiers.settings import EmailConfig
from notifiers.testing import example_message
from tests.conftest import missing
from tests.postfix import HOW_TO_GET_IT, PASSWORD, USER, Postfix, PostfixMissing, own_postfix


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    try:
        with own_postfix() as server:
            yield server
    except PostfixMissing as error:
        missing(str(error), HOW_TO_GET_IT)


def notifier(postfix: Postfix, **changes) -> EmailNotifier:
    config = {
        "host": postfix.host,
        "port": postfix.port,
        "sender": "soc@corp.example",
        "username": USER,
        "password": SecretStr(PASSWORD),
        "ca_file": postfix.ca_file,
        **changes,
    }
    return EmailNotifier(EmailConfig(**config))


async def test_a_letter_comes_out_at_the_other_end_as_it_went_in(postfix: Postfix):
    before = len(postfix.sink.delivered)
    mail = notifier(postfix)
    outcome = await mail.send(
        example_message(subject="[CASE-42] Für 日本", text=".\nhäl 日本\n"),
    )
    await mail.close()
    assert outcome.kind == "ok", outcome
    [got] = (await postfix.delivered(before + 1))[before:]
    assert postfix.logins.asked[-1] == (USER, True)
    assert got.letter["Message-ID"] == outcome.provider_ref
    assert got.letter["Subject"] == "[CASE-42] Für 日本"
    assert got.recipients == ("ana@corp.example",)
    [log] = [line for line in postfix.log().splitlines() if f"message-id={outcome.provider_ref}" in line]
    queue_id = log.split(": ")[1]
    assert queue_id in outcome.reason  # the receipt names the letter in the mail server's log


async def test_wrong_password_is_for_an_administrator(postfix: Postfix):
    outcome = await notifier(postfix, password=SecretStr("wrong")).send(example_message())
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)
    assert "535" in outcome.reason
    assert postfix.logins.asked[-1] == (USER, False)


async def test_without_a_login_nothing_is_relayed(postfix: Postfix):
    outcome = await notifier(postfix, username=None, password=None).send(example_message())
    assert outcome.kind == "permanent"
    assert "554 5.7.1" in outcome.reason


async def test_its_certificate_is_looked_at(postfix: Postfix, tmp_path: Path):
    outcome = await notifier(postfix, ca_file=None).send(example_message())
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)
    assert "not trusted" in outcome.reason
