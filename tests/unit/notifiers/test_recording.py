import asyncio

import pytest

from notifiers.contract import Notifier, Outcome
from notifiers.email import EmailNotifier
from notifiers.settings import EmailConfig, SmsConfig
from notifiers.sms import SmsNotifier
from notifiers.testing import RecordingNotifier, example_message


async def test_keeps_every_message_and_answers_ok():
    double = RecordingNotifier("sms")
    outcome = await double.send(example_message())
    assert (outcome.kind, outcome.provider_ref) == ("ok", "sms-1")
    assert double.sent == [example_message()]
    await double.close()
    assert double.closed


async def test_answers_as_told_then_ok():
    double = RecordingNotifier(outcomes=(Outcome.temporary("later"), Outcome.unknown("lost")))
    outcomes = [(await double.send(example_message())).kind for _ in range(3)]
    assert outcomes == ["temporary", "unknown", "ok"]
    assert len(double.sent) == 3


async def test_a_test_can_wait_for_a_message():
    double = RecordingNotifier()
    waiting = asyncio.create_task(double.wait_for(2))
    await double.send(example_message(name="one"))
    assert not waiting.done()
    await double.send(example_message(name="two"))
    assert [message.to.name for message in await waiting] == ["one", "two"]


@pytest.mark.parametrize(
    ("notifier", "channel"),
    [
        (RecordingNotifier(), "email"),
        (EmailNotifier(EmailConfig(host="mail.corp.example", sender="soc@corp.example")), "email"),
        (SmsNotifier(SmsConfig(account_sid="AC1", auth_token="t", sender="+14155552671")), "sms"),
    ],
    ids=["double", "email", "sms"],
)
def test_every_notifier_says_its_channel_and_its_deadline(notifier: Notifier, channel: str):
    assert notifier.channel == channel
    assert notifier.deadline.total_seconds() > 0
