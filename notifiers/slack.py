"""Slack, by an incoming webhook: one channel there, which the webhook's address names."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

import aiohttp
from slack_sdk.webhook.async_client import AsyncWebhookClient

from notifiers.cleaning import lines, one_line
from notifiers.contract import Message, Outcome
from notifiers.http_post import Answer, failures_told_apart, new_session, outcome_of_answer
from notifiers.reaching import AnswerLost, CannotBeAsked, NotReached, outcome_of_failure
from notifiers.room_settings import WebhookConfig
from notifiers.trace import Trace, untold

_LONGEST_TEXT: Final = 4000  # longer ones are cut there too, and said to be
_OK: Final = 200
# At debug level the library writes the address, which is a secret, and the message.
_quiet = logging.getLogger(f"{__name__}.sdk")
_quiet.setLevel(logging.WARNING)


class SlackNotifier(CannotBeAsked):
    """Posts each message once."""

    channel = "slack"

    def __init__(self, config: WebhookConfig, *, trace: Trace = untold) -> None:
        self._config, self._trace = config, trace
        self._session: aiohttp.ClientSession | None = None

    @property
    def deadline(self) -> timedelta:
        """Time within which `send` has returned."""
        return timedelta(seconds=self._config.deadline)

    async def send(self, message: Message) -> Outcome:
        """Try once to post the message. Slack gives it no name, so ours is the provider's reference."""
        self._trace(f"post to {self._config.host}")
        try:
            async with asyncio.timeout(self._config.deadline):
                answer = await self._post(_text(message))
        except (NotReached, AnswerLost, TimeoutError) as failure:
            return outcome_of_failure("Slack", failure, self._config.deadline)
        if answer.status == _OK and answer.text == "ok":
            return Outcome.ok(message.dedup_key, "ok")
        if answer.status == _OK:
            return Outcome.unknown(f"Slack may have the message: it answered {one_line(answer.text, 100)!r}")
        return outcome_of_answer("Slack", answer)

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _post(self, text: str) -> Answer:
        if self._session is None:
            self._session = new_session(self._config.connect_timeout)
        # Without handlers: the library's own repeats a message after a connection that broke.
        webhook = AsyncWebhookClient(
            self._config.url.get_secret_value(), session=self._session, logger=_quiet, retry_handlers=[]
        )
        with failures_told_apart():
            answer = await webhook.send(text=text, unfurl_links=False, unfurl_media=False)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, answer.body, headers)


def _text(message: Message) -> str:
    """Write the message so that nothing in it calls people (`<!channel>`) or hides where a link leads."""
    text = f"{one_line(message.subject, 250)}\n{lines(message.text)}".rstrip()
    if message.link is not None and message.link not in text:
        text += f"\n{message.link}"
    plain = text[:_LONGEST_TEXT]
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
