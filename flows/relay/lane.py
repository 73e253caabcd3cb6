"""One channel's share of the outbox: its messages are claimed, sent and settled apart from those of other channels.

So a channel that is slow, or dead, holds up nobody else. Nothing here needs Prefect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from case_store import outbox
from case_store.actor import Actor
from case_store.models import Case, OutboxEntry, Person
from case_store.outbox import breaker, quota
from case_store.outbox.policy import Policy, Result
from case_store.store import CaseStore
from flows.relay.writing import Writer
from notifiers.contract import Message, Notifier, Outcome
from notifiers.errors import NotifierError

BATCH: Final = 20
LEASE_FACTOR: Final = 4
"""A lease outlasts the slowest answer several times, so that nobody else sends what is just being sent."""
POLL_GAP: Final = timedelta(seconds=60)
POLLS: Final = 2
_SLACK: Final = timedelta(minutes=2)
_WIDTH: Final = 4
_MENDING: Final = timedelta(minutes=5)
"""A channel at fault (wrong password, strange certificate) is tried again after this: somebody has to mend it."""
_NOT_SET_UP: Final = timedelta(seconds=30)


@dataclass(frozen=True)
class Lane:
    """A channel and what is needed to send by it.

    Attributes:
        store: The case store.
        channel: Its name, as promises name it.
        notifier: The channel itself; None when it is not set up, and then its messages are given up.
        writer: Makes words of a message.
        policy: What the installation decides.
        by: Who sends.
        clock: The time.
        poll_gap: How long to wait before a provider is asked (again) whether it has a message.
    """

    store: CaseStore
    channel: str
    notifier: Notifier | None
    writer: Writer
    policy: Policy
    by: Actor
    clock: Callable[[], datetime]
    poll_gap: timedelta = POLL_GAP
    _turn: asyncio.Semaphore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Where the provider cannot be asked, a process that dies may have sent what it did not note: one at a time,
        # so that this is one message and not several.
        width = _WIDTH if self.notifier is not None and self.notifier.can_find else 1
        object.__setattr__(self, "_turn", asyncio.Semaphore(width))

    @property
    def lease(self) -> timedelta:
        """How long a claim holds a message."""
        return (self.notifier.deadline if self.notifier else _NOT_SET_UP) * LEASE_FACTOR

    async def send_due(self) -> int:
        """Send what is due, each message once; return how many there were."""
        try:
            claimed = await self._claim()
        except _TriedByAnother:
            return 0
        await asyncio.gather(*(self._in_turn(*one) for one in claimed))
        return len(claimed)

    async def _claim(self) -> list[tuple[OutboxEntry, Person, Case | None]]:
        at = self.clock()
        async with self.store.transaction() as tx:
            limit = await breaker.allowed(tx, self.channel, at, BATCH)
            if not limit:
                return []
            await quota.coalesce(tx, self.channel, self.policy, by=self.by, at=at)
            entries = await outbox.claim(tx, at, self.lease, limit, uuid4().hex, channel=self.channel)
            if limit < BATCH and entries and not await breaker.probe(tx, self.channel, at, self.lease):
                raise _TriedByAnother
            return [
                (
                    entry,
                    await tx.session.get_one(Person, entry.recipient_id),
                    await tx.session.get(Case, entry.case_id) if entry.case_id else None,
                )
                for entry in entries
            ]

    async def _in_turn(self, entry: OutboxEntry, person: Person, case: Case | None) -> None:
        async with self._turn:
            await self._settle(entry, await self._try(entry, person, case))

    async def _settle(self, entry: OutboxEntry, result: Result | None) -> None:
        if result is None:
            return
        async with self.store.transaction() as tx:
            await outbox.settle(tx, entry, result, by=self.by, at=self.clock(), policy=self.policy)

    async def _try(self, entry: OutboxEntry, person: Person, case: Case | None) -> Result | None:
        """Return what one try came to; None when the message is somebody else's meanwhile."""
        if self.notifier is None:
            return Result("permanent", error=f"the channel {self.channel} is not set up")
        try:
            message = await self.writer.message(entry, person, case)
        except NotifierError as error:
            return Result("permanent", error=str(error))
        if entry.in_doubt:
            return await self._look(self.notifier, entry, message)
        return await self._send(self.notifier, entry, message)

    async def _look(self, notifier: Notifier, entry: OutboxEntry, message: Message) -> Result | None:
        """Ask the provider about a message that may have gone; send it when it surely has not."""
        if notifier.can_find:
            found = await notifier.find(message, (entry.tried_at or entry.next_at) - _SLACK)
            if found is not None and found.kind == "temporary":
                return Result(
                    "unknown", error=found.reason, ask_again=max(self.poll_gap, found.retry_after or self.poll_gap)
                )
            if found is not None:
                return self._result(found)
            if entry.polls + 1 < POLLS:
                reason = "the provider does not have it so far"
                return Result("unknown", error=reason, ask_again=self.poll_gap, asked=True)
        async with self.store.transaction() as tx:
            if not await outbox.trying_again(tx, entry, self.clock(), self.lease):
                return None
        entry.lease_until = self.clock() + self.lease
        return await self._send(notifier, entry, message)

    async def _send(self, notifier: Notifier, entry: OutboxEntry, message: Message) -> Result:
        if entry.lease_until is None or entry.lease_until - self.clock() <= notifier.deadline:
            return Result("temporary", error="its turn came when the lease was about to end", not_tried=True)
        return self._result(await notifier.send(message))

    def _result(self, outcome: Outcome) -> Result:
        asks = self.notifier is not None and self.notifier.can_find
        return Result(
            outcome.kind,
            provider_ref=outcome.provider_ref,
            error=None if outcome.kind == "ok" else outcome.reason,
            retry_after=_MENDING if outcome.channel_fault else outcome.retry_after,
            ask_again=self.poll_gap if asks and outcome.kind == "unknown" else None,
            channel_fault=outcome.channel_fault,
            opted_out=outcome.opted_out,
            bad_address=outcome.bad_address,
        )


class _TriedByAnother(Exception):
    """Another relay tries the channel just now: our claim is undone."""
