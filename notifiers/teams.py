"""Microsoft Teams, by a webhook of its Workflows (Power Automate), which takes an Adaptive Card.

The older connectors, which took cards of another form, are switched off.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final

import aiohttp

from notifiers import http_post
from notifiers.cleaning import lines, one_line
from notifiers.contract import Message, Outcome
from notifiers.reaching import AnswerLost, CannotBeAsked, NotReached, outcome_of_failure
from notifiers.room_settings import WebhookConfig
from notifiers.trace import Trace, untold

_LONGEST_TEXT: Final = 8000  # a card of more than 28 KB is refused; a character may take three bytes
_TAKEN: Final = frozenset({200, 202})


class TeamsNotifier(CannotBeAsked):
    """Posts each message as one card."""

    channel = "teams"

    def __init__(self, config: WebhookConfig, *, trace: Trace = untold) -> None:
        self._config, self._trace = config, trace
        self._session: aiohttp.ClientSession | None = None

    @property
    def deadline(self) -> timedelta:
        """Time within which `send` has returned."""
        return timedelta(seconds=self._config.deadline)

    async def send(self, message: Message) -> Outcome:
        """Try once to hand the card to the workflow; the workflow's run is the provider's reference."""
        if self._session is None:
            self._session = http_post.new_session(self._config.connect_timeout)
        self._trace(f"post a card to {self._config.host}")
        try:
            async with asyncio.timeout(self._config.deadline):
                answer = await http_post.post(self._session, self._config.url.get_secret_value(), _card(message))
        except (NotReached, AnswerLost, TimeoutError) as failure:
            return outcome_of_failure("Teams", failure, self._config.deadline)
        if answer.status in _TAKEN:
            return Outcome.ok(answer.headers.get("x-ms-workflow-run-id") or message.dedup_key)
        return http_post.outcome_of_answer("Teams", answer)

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


def _card(message: Message) -> dict[str, Any]:
    content: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [
            _line(one_line(message.subject, 250), bold=True),
            *(_line(line) for line in lines(message.text)[:_LONGEST_TEXT].splitlines() if line.strip()),
        ],
    }
    if message.link is not None:
        content["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": message.link}]
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [card]}


def _line(text: str, *, bold: bool = False) -> dict[str, Any]:
    """Write one line as rich text: a plain block would read Markdown in it, and a link could say it leads elsewhere."""
    run = {"type": "TextRun", "text": text, **({"weight": "Bolder"} if bold else {})}
    return {"type": "RichTextBlock", "inlines": [run]}
