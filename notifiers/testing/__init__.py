"""Doubles for tests: `RecordingNotifier` in memory; `smtp.SmtpServer` and `twilio.FakeTwilio` on a loopback port.

The two servers need the packages of the development group; the one here needs nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime, timedelta
from typing import Any

from notifiers.contract import Found, Message, Outcome, Recipient


def example_message(
    name: str = "Ana Example",
    email: str | None = "ana@corp.example",
    phone: str | None = "+14155552671",
    subject: str = "[CASE-42] For you: Block the sender",
    text: str = "Ana, a task waits for you.\n",
    html: str | None = "<p>Ana, a task waits for you.</p>",
    sms_text: str = "CASE-42: a task waits for you. https://casewright.example/t/1",
    dedup_key: str = "case-42:block_sender:assigned:0:ana:email",
    **more: Any,  # noqa: ANN401 - any other field of a message
) -> Message:
    """Make a message that every channel takes, but for what you change."""
    return Message(Recipient(name, email, phone), subject, text, html, sms_text, 42, dedup_key, **more)


class RecordingNotifier:
    """A notifier that reaches nobody and keeps what it was given.

    Answers with the outcomes it was told to answer with, one a message; after those, with `ok` and a counted reference.

    Attributes:
        sent: Every message given to it, whatever it answered.
        kept: What a provider would have of them, by `dedup_key`; a test puts in what `find` shall find.
        asked: Keys that `find` was asked for, in order.
        closed: True once it was closed.
    """

    def __init__(self, channel: str = "email", *, outcomes: tuple[Outcome, ...] = (), can_find: bool = False) -> None:
        self.channel, self.can_find = channel, can_find
        self.kept: dict[str, Found] = {}
        self.asked: list[str] = []
        self.deadline = timedelta(seconds=1)
        self.sent: list[Message] = []
        self.closed = False
        self._outcomes = deque(outcomes)
        self._news = asyncio.Condition()

    async def send(self, message: Message) -> Outcome:
        """Keep the message and give the next outcome."""
        async with self._news:
            self.sent.append(message)
            self._news.notify_all()
        outcome = self._outcomes.popleft() if self._outcomes else Outcome.ok(f"{self.channel}-{len(self.sent)}")
        if outcome.kind == "ok" and outcome.provider_ref is not None:
            self.kept[message.dedup_key] = Found(outcome.provider_ref, "sent")
        return outcome

    async def find(self, message: Message, since: datetime) -> Found | None:  # noqa: ARG002 - the contract's
        """Give what it kept under the message's key."""
        self.asked.append(message.dedup_key)
        return self.kept.get(message.dedup_key)

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    async def wait_for(self, count: int) -> list[Message]:
        """Wait until `count` messages were given to it, and give them."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.sent) >= count)
        return self.sent[:count]
