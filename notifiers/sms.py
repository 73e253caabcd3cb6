"""Texts through Twilio.

Twilio has no idempotency key: a second request is a second text. So a text in doubt is `unknown`, not `temporary`, and
each text ends in a marker by which `find` knows it again.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from notifiers.addresses import phone_number
from notifiers.cleaning import one_line
from notifiers.contract import Found, Message, NotAsked, Outcome
from notifiers.errors import AddressMissing, AddressRefused
from notifiers.reaching import AnswerLost, NotReached, outcome_of_failure
from notifiers.settings import SmsConfig
from notifiers.sms_answers import LONGEST_TEXT, outcome_of_refusal
from notifiers.trace import Trace, untold

if TYPE_CHECKING:
    from notifiers.twilio_client import Queued, TwilioMessages

_GIVEN_UP: Final = frozenset({"failed", "undelivered", "canceled"})
# The provider's clock and ours may differ; a text that is older than this before the first try is another one.
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
_LONGEST_VALIDITY: Final = timedelta(hours=10)  # what Twilio takes
_SHORTEST_VALIDITY: Final = timedelta(seconds=10)  # Twilio advises against less


class SmsNotifier:
    """Sends each message as one text to one phone."""

    channel = "sms"
    can_find = True

    def __init__(self, config: SmsConfig, *, trace: Trace = untold) -> None:
        self._config = config
        self._trace = trace
        self._messages: TwilioMessages | None = None

    @property
    def deadline(self) -> timedelta:
        """Time within which `send` and `find` have returned."""
        return timedelta(seconds=self._config.deadline)

    async def send(self, message: Message) -> Outcome:
        """Try once to hand the text to Twilio; the message's SID is the provider's reference."""
        try:
            to, body = _number_of(message), text_of(message)
        except AddressRefused as refused:
            return Outcome.permanent(str(refused), bad_address=not isinstance(refused, AddressMissing))
        if not one_line(message.sms_text) or len(body) > LONGEST_TEXT:
            return Outcome.permanent(
                f"a text has 1 to {LONGEST_TEXT} characters with its marker, this one is empty or longer"
            )
        self._trace(f"hand the text to Twilio ({self._config.base_url or 'api.twilio.com'}), to {to}")
        return await self._hand_over(to, body, _validity(message), message.receipt_name)

    async def find(self, message: Message, since: datetime) -> Found | NotAsked | None:
        """Look through Twilio's list of texts to this number for one that ends in the message's marker."""
        from notifiers.twilio_client import Refused  # noqa: PLC0415 - as in `_hand_over`

        try:
            to = _number_of(message)
        except AddressRefused:
            return None  # never handed over
        try:
            async with asyncio.timeout(self._config.deadline):
                listed = await self._open().sent_to(to, since - _CLOCKS_DIFFER)
        except (Refused, NotReached, AnswerLost, TimeoutError) as reason:
            words = one_line(str(reason), 200) or f"no answer within {self._config.deadline:g} s"
            wait = reason.retry_after if isinstance(reason, Refused) else None
            return NotAsked(f"Twilio could not be asked for the text: {words}", wait)
        ours = [one for one in listed if one.body.rstrip().endswith(message.marker)]
        alive = [one for one in ours if one.status not in _GIVEN_UP]
        return _found((alive or ours)[0]) if ours else None

    async def close(self) -> None:
        """Close the session with Twilio."""
        if self._messages is not None:
            messages, self._messages = self._messages, None
            await messages.close()

    def _open(self) -> TwilioMessages:
        from notifiers.twilio_client import TwilioMessages  # noqa: PLC0415 - as in `_hand_over`

        if self._messages is None:
            self._messages = TwilioMessages(self._config)
        return self._messages

    async def _hand_over(self, to: str, body: str, validity: int | None, receipt_name: str | None) -> Outcome:
        from notifiers.twilio_client import Refused  # noqa: PLC0415 - the SDK is loaded by those who text

        try:
            async with asyncio.timeout(self._config.deadline):
                queued = await self._open().create(to, body, validity, receipt_name)
        except Refused as refused:
            return outcome_of_refusal(refused.status, refused.code, refused.text, refused.retry_after)
        except (NotReached, AnswerLost, TimeoutError) as failure:
            return outcome_of_failure("Twilio", failure, self._config.deadline)
        return _outcome(queued)


def text_of(message: Message) -> str:
    """Return the text as it goes out: one line that ends in the message's marker."""
    text = one_line(message.sms_text, LONGEST_TEXT + 1)
    return text if text.endswith(message.marker) else f"{text} {message.marker}"


def _found(queued: Queued) -> Found:
    return Found(queued.sid, queued.status, None if queued.error_code is None else str(queued.error_code))


def _outcome(queued: Queued) -> Outcome:
    if queued.status in _GIVEN_UP:
        return outcome_of_refusal(200, queued.error_code or 30008, f"{queued.sid} {queued.status}", None)
    return Outcome.ok(queued.sid, queued.status)


def _validity(message: Message) -> int | None:
    """Return the seconds after which Twilio throws the text away."""
    if message.useful_for is None:
        return None
    return int(min(max(message.useful_for, _SHORTEST_VALIDITY), _LONGEST_VALIDITY).total_seconds())


def _number_of(message: Message) -> str:
    if message.to.phone is None:
        raise AddressMissing(f"no phone number of {one_line(message.to.name, 80)} is on record")
    return phone_number(message.to.phone)
