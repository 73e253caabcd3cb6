"""A provider in memory: it keeps what it takes, can be asked, and does to the next tries what it is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from notifiers.contract import Found, Message, NotAsked, Outcome

LOST = "lost"
"""What to do to a try: take the message, and lose the answer."""


@dataclass
class PostOffice:
    """A channel whose provider remembers.

    Attributes:
        channel: Its name.
        can_find: Whether it can be asked.
        has: Messages it took, in order.
        answers: What to answer to the next tries, one each: an outcome, `LOST`, or an event to wait for first.
        silent: Whether it cannot be asked just now.
        asked: How often it was asked for a message.
        tries: How often it was to take one; `trying` is set at the first.
    """

    channel: str = "email"
    can_find: bool = True
    has: list[Message] = field(default_factory=list)
    answers: list[Outcome | str | asyncio.Event] = field(default_factory=list)
    silent: bool = False
    asked: int = 0
    tries: int = 0
    deadline: timedelta = timedelta(seconds=5)
    trying: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Message) -> Outcome:
        """Answer as told; else take the message."""
        self.tries += 1
        self.trying.set()
        told = self.answers.pop(0) if self.answers else None
        if isinstance(told, Outcome):
            return told
        if isinstance(told, asyncio.Event):
            await told.wait()
        self.has.append(message)
        return Outcome.unknown("the answer was lost") if told == LOST else Outcome.ok(f"<{len(self.has)}>")

    async def find(self, message: Message, since: datetime) -> Found | NotAsked | None:
        """Say whether it has the message."""
        self.asked += 1
        if self.silent:
            return NotAsked("nobody is at the counter")
        for number, one in enumerate(self.has, 1):
            if one.dedup_key == message.dedup_key:
                return Found(f"<{number}>", "sent")
        return None

    async def close(self) -> None:
        """Hold nothing."""
