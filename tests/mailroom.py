"""The lanes of a relay under a clock that a test moves; what leaves, to whom and when, is kept."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from sqlalchemy import func, select

from case_store import outbox
from case_store.actor import Actor
from case_store.models import OutboxEntry
from case_store.outbox import Policy
from case_store.store import CaseStore
from flows.relay.lane import Lane
from flows.relay.writing import Writer
from notifiers.contract import Message, Outcome
from tests.post_office import PostOffice
from tests.store.world import NOW

BY = Actor.system("relay")
HOUR = timedelta(hours=1)


class Mailroom:
    """Sends by e-mail and by text.

    Attributes:
        left: When something left, by channel and address.
        subjects: What it was about, in order.
    """

    def __init__(self, store: CaseStore, policy: Policy) -> None:
        self.store, self.policy = store, policy
        self.left: dict[tuple[str, str], list[datetime]] = defaultdict(list)
        self.subjects: list[str] = []
        self._now = NOW
        writer = Writer("https://casewright.example/")
        offices = (_Noting(self, "email"), _Noting(self, "sms"))
        self._lanes = [Lane(store, one.channel, one, writer, policy, BY, lambda: self._now) for one in offices]

    async def send(self, at: datetime) -> int:
        """Send all that may leave at a moment."""
        self._now, sent = at, 0
        for lane in self._lanes:
            while (done := await lane.send_due()) > 0:
                sent += done
        async with self.store.transaction() as tx:
            await outbox.expire(tx, by=BY, at=at, policy=self.policy)
        return sent

    async def send_all(self, at: datetime, step: timedelta = HOUR / 4) -> datetime:
        """Send until nothing waits; return when the last of it left."""
        while await self.waiting():
            await self.send(at)
            at += step
        return at - step

    async def waiting(self) -> int:
        """Return how many messages wait."""
        async with self.store.reading() as tx:
            wanted = select(func.count()).select_from(OutboxEntry).where(OutboxEntry.state == "pending")
            return await tx.session.scalar(wanted) or 0

    def most_in_an_hour(self, channel: str) -> int:
        """Return how many messages one person got by a channel in the worst hour, wherever it begins."""
        return max((_most(when) for (by, _), when in self.left.items() if by == channel), default=0)

    def note(self, channel: str, message: Message) -> None:
        """Keep that a message leaves."""
        address = message.to.email if channel == "email" else message.to.phone
        self.left[channel, address or ""].append(self._now)
        self.subjects.append(message.subject)


class _Noting(PostOffice):
    def __init__(self, room: Mailroom, channel: str) -> None:
        super().__init__(channel)
        self.room = room

    async def send(self, message: Message) -> Outcome:
        self.room.note(self.channel, message)
        return await super().send(message)


def _most(when: list[datetime]) -> int:
    first, most = 0, 0
    for last, moment in enumerate(when):
        while when[first] <= moment - HOUR:
            first += 1
        most = max(most, last - first + 1)
    return most
