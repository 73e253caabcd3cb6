"""How answers are judged, without a network."""

import ssl
from datetime import timedelta

import pytest
from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st

from notifiers import smtp_answers
from notifiers.cleaning import one_line
from notifiers.contract import Outcome
from notifiers.sms_answers import outcome_of_refusal
from notifiers.smtp_answers import Step

ABOUT_THE_CHANNEL = {Step.QUEUE, Step.CONNECT, Step.ENCRYPT, Step.LOGIN, Step.SENDER}
BROKEN_LINES = [
    SMTPServerDisconnected("gone"),
    SMTPTimeoutError("slow"),
    TimeoutError(),
    OSError("no route"),
    ValueError(),
]


@given(st.integers(-1, 999), st.sampled_from(Step))
def test_smtp_code_decides(code: int, step: Step):
    outcome = smtp_answers.outcome_of(SMTPResponseException(code, "words"), step)
    expected = {4: "temporary", 5: "permanent"}.get(code // 100, "unknown" if step is Step.RECEIPT else "temporary")
    assert outcome.kind == expected
    assert outcome.channel_fault == (expected == "permanent" and step in ABOUT_THE_CHANNEL)
    assert str(code) in outcome.reason


@pytest.mark.parametrize("said", ["5.1.1 nobody", "5.1.10 takes no mail", "host 1.2.3.4 said: 550-5.1.1 nobody"])
def test_smtp_words_tell_an_address_that_reaches_nobody(said: str):
    assert smtp_answers.outcome_of(SMTPResponseException(550, said), Step.RECIPIENT).bad_address
    assert smtp_answers.outcome_of(SMTPResponseException(550, said), Step.RECEIPT).bad_address
    assert not smtp_answers.outcome_of(SMTPResponseException(550, said), Step.SENDER).bad_address
    assert not smtp_answers.outcome_of(SMTPResponseException(450, said), Step.RECIPIENT).bad_address


@pytest.mark.parametrize("said", ["5.7.1 policy", "5.2.2 mailbox full", "from 15.1.1.9", "no words"])
def test_smtp_words_that_say_something_else_do_not_condemn_the_address(said: str):
    assert not smtp_answers.outcome_of(SMTPResponseException(550, said), Step.RECIPIENT).bad_address


@pytest.mark.parametrize("failure", BROKEN_LINES, ids=repr)
@pytest.mark.parametrize("step", Step)
def test_broken_line_is_doubt_only_after_the_letter(failure: Exception, step: Step):
    outcome = smtp_answers.outcome_of(failure, step)
    assert outcome.kind == ("unknown" if step is Step.RECEIPT else "temporary")
    assert outcome.reason.isprintable()


def test_same_class_of_failure_is_judged_by_its_code():
    wrong, broken = (smtp_answers.outcome_of(SMTPAuthenticationError(c, ""), Step.CONNECT) for c in (535, 454))
    assert (wrong.kind, wrong.channel_fault) == ("permanent", True)
    assert broken.kind == "temporary"


def test_untrusted_certificate_is_found_beneath_other_failures():
    failure = SMTPConnectError("could not connect")
    failure.__cause__ = ssl.SSLCertVerificationError("self-signed")
    outcome = smtp_answers.outcome_of(failure, Step.CONNECT)
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)


def test_server_that_lacks_what_settings_demand_is_for_an_administrator():
    outcome = smtp_answers.outcome_of(SMTPException("STARTTLS not supported"), Step.CONNECT)
    assert (outcome.kind, outcome.channel_fault) == ("permanent", True)


@given(st.integers(100, 599), st.integers(0, 99999), st.text())
def test_twilio_refusal_is_never_taken_for_a_sent_text(status: int, code: int, text: str):
    outcome = outcome_of_refusal(status, code, text, None)
    assert outcome.kind != "ok"
    assert one_line(outcome.reason) == outcome.reason
    assert str(code) in outcome.reason


@pytest.mark.parametrize(
    ("code", "kind", "channel_fault"),
    [
        (20003, "permanent", True),
        (21606, "permanent", True),
        (21608, "permanent", True),
        (21659, "permanent", True),
        (21211, "permanent", False),
        (21610, "permanent", False),
        (21612, "permanent", False),
        (21614, "permanent", False),
        (30005, "permanent", False),
        (30006, "permanent", False),
        (30007, "permanent", False),
        (20429, "temporary", False),
        (30003, "temporary", False),
        (30008, "temporary", False),
    ],
)
def test_twilio_code_weighs_more_than_the_status(code: int, kind: str, channel_fault: bool):
    for status in (200, 400, 503):
        outcome = outcome_of_refusal(status, code, "words", None)
        assert (outcome.kind, outcome.channel_fault) == (kind, channel_fault)


def test_wait_is_kept_with_a_temporary_refusal_only():
    wait = timedelta(seconds=3)
    assert outcome_of_refusal(429, 20429, "", wait).retry_after == wait
    assert outcome_of_refusal(400, 21211, "", wait).retry_after is None


def test_outcomes_are_what_they_are_called():
    assert Outcome.ok("ref").provider_ref == "ref"
    assert [
        o.kind for o in (Outcome.ok("r"), Outcome.permanent("p"), Outcome.temporary("t"), Outcome.unknown("u"))
    ] == [
        "ok",
        "permanent",
        "temporary",
        "unknown",
    ]
