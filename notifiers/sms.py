"""Texts through Twilio.

Twilio has no idempotency key: a second request is a second text. So a text in doubt is `unknown`, not `temporary`.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from notifiers.addresses import phone_number
from notifiers.cleaning import one_line
from notifiers.contract import Message, Outcome
from notifiers.errors import AddressRefused
from notifiers.settings import SmsConfig
from notifiers.sms_answers import LONGEST_TEXT, outcome_of_refusal

if TYPE_CHECKING:
    from notifiers.twilio_client import TwilioMessages

_GIVEN_UP = frozenset({"failed", "undelivered", "canceled"})


class SmsNotifier:
    """Sends each message as one text to one phone."""

    channel = "sms"

    def __init__(self, config: SmsConfig) -> None:
        self._config = config
        self._messages: TwilioMessages | None = None

    @property
    def deadline(self) -> timedelta:
        """Time within which `send` has returned."""
        return timedelta(seconds=self._config.deadline)

    async def send(self, message: Message) -> Outcome:
        """Try once to hand the text to Twilio; the message's SID is the provider's reference."""
        try:
            to, body = _number_of(message), one_line(message.sms_text, LONGEST_TEXT + 1)
        except AddressRefused as refused:
            return Outcome.permanent(str(refused))
        if not body or len(body) > LONGEST_TEXT:
            return Outcome.permanent(f"a text has 1 to {LONGEST_TEXT} characters, this one is empty or longer")
        return await self._hand_over(to, body)

    async def close(self) -> None:
        """Close the session with Twilio."""
        if self._messages is not None:
            messages, self._messages = self._messages, None
            await messages.close()

    async def _hand_over(self, to: str, body: str) -> Outcome:
        from notifiers.twilio_client import (  # noqa: PLC0415 - the SDK is loaded by those who text, with the first text
            AnswerLost,
            NotReached,
            Refused,
            TwilioMessages,
        )

        if self._messages is None:
            self._messages = TwilioMessages(self._config)
        try:
            async with asyncio.timeout(self._config.deadline):
                queued = await self._messages.create(to, body)
        except Refused as refused:
            return outcome_of_refusal(refused.status, refused.code, refused.text, refused.retry_after)
        except NotReached as reason:
            words = f"Twilio was not reached: {one_line(str(reason), 200)}"
            return Outcome.permanent(words, channel_fault=True) if reason.untrusted else Outcome.temporary(words)
        except AnswerLost as reason:
            return Outcome.unknown(f"Twilio may have the text: {one_line(str(reason), 200)}")
        except TimeoutError:
            return Outcome.unknown(f"Twilio may have the text: no answer within {self._config.deadline:g} s")
        if queued.status in _GIVEN_UP:
            return outcome_of_refusal(200, queued.error_code or 30008, f"{queued.sid} {queued.status}", None)
        return Outcome.ok(queued.sid, queued.status)


def _number_of(message: Message) -> str:
    if message.to.phone is None:
        raise AddressRefused(f"no phone number of {one_line(message.to.name, 80)} is on record")
    return phone_number(message.to.phone)
