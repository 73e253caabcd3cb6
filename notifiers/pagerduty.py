"""PagerDuty, by its Events API (version 2): whoever is on call there is paged.

The message's key goes along as `dedup_key`, and PagerDuty makes one alert of all that bear it. So what is in doubt may
simply be sent again, and is `temporary` here, never `unknown`.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Any, Final

import aiohttp

from notifiers import http_post
from notifiers.cleaning import lines, one_line
from notifiers.contract import Message, Outcome
from notifiers.reaching import AnswerLost, CannotBeAsked, NotReached, outcome_of_failure
from notifiers.room_settings import PagerDutyConfig
from notifiers.trace import Trace, untold

_LONGEST_KEY: Final = 255
_LONGEST_SUMMARY: Final = 1024
_LONGEST_TEXT: Final = 8000
_CLIENT: Final = "Casewright"
_ACCEPTED: Final = 202


class PagerDutyNotifier(CannotBeAsked):
    """Makes one alert of each message."""

    channel = "pagerduty"

    def __init__(self, config: PagerDutyConfig, *, trace: Trace = untold) -> None:
        self._config, self._trace = config, trace
        self._session: aiohttp.ClientSession | None = None

    @property
    def deadline(self) -> timedelta:
        """Time within which `send` has returned."""
        return timedelta(seconds=self._config.deadline)

    async def send(self, message: Message) -> Outcome:
        """Try once to raise the alert; its key is the provider's reference."""
        self._trace(f"raise an alert at {self._config.url}")
        return await self._enqueue(self._event(message))

    async def close_alert(self, message: Message) -> Outcome:
        """Resolve the alert of a message: nobody is called about it any more."""
        key = self._config.routing_key.get_secret_value()
        return await self._enqueue({"routing_key": key, "event_action": "resolve", "dedup_key": _key(message)})

    async def _enqueue(self, event: dict[str, Any]) -> Outcome:
        if self._session is None:
            self._session = http_post.new_session(self._config.connect_timeout)
        try:
            async with asyncio.timeout(self._config.deadline):
                answer = await http_post.post(self._session, f"{self._config.url}/v2/enqueue", event)
        except (NotReached, AnswerLost, TimeoutError) as failure:
            return _again(outcome_of_failure("PagerDuty", failure, self._config.deadline))
        if answer.status == _ACCEPTED:
            return Outcome.ok(event["dedup_key"], one_line(answer.text, 200) or "accepted")
        outcome = http_post.outcome_of_answer("PagerDuty", answer)
        if outcome.kind == "permanent" and "routing" in answer.text.lower():
            return Outcome.permanent(outcome.reason, channel_fault=True)
        return _again(outcome)

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _event(self, message: Message) -> dict[str, Any]:
        event: dict[str, Any] = {
            "routing_key": self._config.routing_key.get_secret_value(),
            "event_action": "trigger",
            "dedup_key": _key(message),
            "client": _CLIENT,
            "payload": {
                "summary": one_line(message.subject, _LONGEST_SUMMARY),
                "source": _CLIENT,
                "severity": self._config.severity,
                "custom_details": {"for": one_line(message.to.name, 100), "text": lines(message.text)[:_LONGEST_TEXT]},
            },
        }
        if message.case_number is not None:
            event["payload"]["group"] = f"CASE-{message.case_number}"
        if message.link is not None:
            event["client_url"] = message.link
        return event


def _key(message: Message) -> str:
    """Return the message's key, or its digest if it is longer than PagerDuty takes."""
    key = one_line(message.dedup_key, _LONGEST_KEY + 1)
    if len(key) <= _LONGEST_KEY:
        return key
    return hashlib.sha256(message.dedup_key.encode("utf-8", "surrogatepass")).hexdigest()


def _again(outcome: Outcome) -> Outcome:
    return Outcome.temporary(outcome.reason) if outcome.kind == "unknown" else outcome
