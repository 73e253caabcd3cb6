"""One channel's share of the outbox: its messages are claimed, sent and settled apart from those of other channels.

So a channel that is slow, or dead, holds up nobody else. Nothing here needs Prefect.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self
from uuid import uuid4

from case_store import outbox
from case_store.actor import Actor
from case_store.errors import StoreError
from case_store.models import Case, OutboxEntry, Person
from case_store.outbox import breaker, closing, quota
from case_store.outbox.policy import Policy, Result
from case_store.store import CaseStore
from flows.relay.writing import Writer
from notifiers.contract import CarriesSeveral, ClosesAlerts, Found, NotAsked, Notifier, Outcome
from notifiers.errors import NotifierError

log = logging.getLogger(__name__)

BATCH: Final = 5
"""Messages for each place of a lane that are claimed at once; as many as it takes to leave a dead channel alone."""
LEASE_FACTOR: Final = 4
"""A lease outlasts the slowest answer several times, so that nobody else sends what is just being sent."""
POLL_GAP: Final = timedelta(seconds=60)
POLLS: Final = 2
_SLACK: Final = timedelta(minutes=2)
_WIDTH: Final = 4
_MENDING: Final = timedelta(minutes=5)
"""A channel at fault (wrong password, strange certificate) is tried again after this: somebody has to mend it."""
_NOT_SET_UP: Final = timedelta(seconds=30)
_NO_TIME: Final = Result("temporary", error="its turn came when the lease was about to end", not_tried=True)


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
    _step: asyncio.Lock = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Where the provider cannot be asked, a process that dies may have sent what it did not note: one at a time, or
        # at least one at a time in the step that counts, so that this is one message and not several.
        object.__setattr__(self, "_turn", asyncio.Semaphore(self.width))
        object.__setattr__(self, "_step", asyncio.Lock())

    @property
    def width(self) -> int:
        """How many messages are sent at the same time."""
        if isinstance(self.notifier, CarriesSeveral):
            return self.notifier.at_once
        return _WIDTH if self.notifier is not None and self.notifier.can_find else 1

    @property
    def lease(self) -> timedelta:
        """How long a claim holds a message."""
        return (self.notifier.deadline if self.notifier else _NOT_SET_UP) * LEASE_FACTOR

    async def send_due(self) -> int:
        """Send what is due, each message once; return how many there were."""
        if isinstance(self.notifier, ClosesAlerts):
            await self._close_alerts(self.notifier)
        try:
            claimed = await self._claim()
        except _TriedByAnother:
            return 0
        done = await asyncio.gather(*(self._in_turn(*one) for one in claimed), return_exceptions=True)
        for failure in done:  # of the store: the others have come to their end
            if failure is not None:
                raise failure
        return len(claimed)

    async def _close_alerts(self, notifier: ClosesAlerts) -> None:
        async with self.store.reading() as tx:
            over = await closing.to_close(tx, self.channel, self.clock())
        for entry, person, case in over:
            outcome = await notifier.close_alert(self.writer.envelope(entry, person, case))
            async with self.store.transaction() as tx:
                await closing.closed(tx, entry, outcome.kind == "ok", by=self.by, at=self.clock())

    async def _claim(self) -> list[tuple[OutboxEntry, Person, Case | None]]:
        at = self.clock()
        async with self.store.reading() as tx:
            if not await outbox.anything_due(tx, self.channel, at):
                return []
        async with self.store.transaction() as tx:
            await outbox.cancel_needless(tx, by=self.by, at=at)
            await outbox.give_up_unreachable(tx, self.channel, self.policy, by=self.by, at=at)
            most = BATCH * self.width
            limit = await breaker.allowed(tx, self.channel, at, most)
            if not limit:
                return []
            places = await quota.coalesce(tx, self.channel, self.policy, by=self.by, at=at)
            token = uuid4().hex
            entries = await outbox.claim(tx, at, self.lease, limit, token, channel=self.channel, among=places)
            if limit < most and entries and not await breaker.probe(tx, self.channel, at, self.lease):
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
        async with self._turn, _Step(self._step) as step:
            await self._settle(entry, await self._safely(_Claimed(entry, person, case, step)))

    async def _settle(self, entry: OutboxEntry, result: Result | None) -> None:
        if result is None:
            return
        async with self.store.transaction() as tx:
            await outbox.settle(tx, entry, result, by=self.by, at=self.clock(), policy=self.policy)

    async def _safely(self, claimed: _Claimed) -> Result | None:
        """Try a message. What nobody foresaw counts as a failed try, so that it ends after eight, and visibly."""
        try:
            return await self._try(claimed)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - one message must not stop those behind it
            log.error("Message %s by %s: %s", claimed.entry.id, self.channel, where(error))  # noqa: TRY400 - no words of others
            return Result("temporary", error=f"an error of ours ({type(error).__name__}); the relay's log says where")

    async def _try(self, claimed: _Claimed) -> Result | None:
        """Return what one try came to; None when the message is somebody else's meanwhile."""
        if self.notifier is None:
            return Result("permanent", error=f"the channel {self.channel} is not set up")
        if claimed.entry.in_doubt:
            return await self._look(self.notifier, claimed)
        return await self._send(self.notifier, claimed)

    async def _look(self, notifier: Notifier, claimed: _Claimed) -> Result | None:
        """Ask the provider about a message that may have gone; send it when it surely has not."""
        entry = claimed.entry
        if notifier.can_find:
            since = (entry.tried_at or entry.next_at) - _SLACK
            found = await notifier.find(self.writer.envelope(entry, claimed.person, claimed.case), since)
            if isinstance(found, Found):
                return Result("ok", provider_ref=found.provider_ref, receipt=(found.status, found.code))
            if isinstance(found, NotAsked):
                wait = max(self.poll_gap, found.retry_after or self.poll_gap)
                return Result("unknown", error=found.reason, ask_again=wait, not_asked=True)
            if entry.polls + 1 < POLLS:
                reason = "the provider does not have it so far"
                return Result("unknown", error=reason, ask_again=self.poll_gap, asked=True)
        at = self.clock()
        async with self.store.transaction() as tx:
            if not await outbox.trying_again(tx, entry, at, self.lease):
                return None
        entry.tried_at, entry.lease_until = at, at + self.lease
        return await self._send(notifier, claimed)

    async def _send(self, notifier: Notifier, claimed: _Claimed) -> Result:
        """Write the message and send it. Only here its link is made: what is not sent needs none."""
        entry = claimed.entry
        if not self._has_time(notifier, entry):
            return _NO_TIME
        name = outbox.name_of(entry, entry.tried_at) if entry.tried_at else None
        try:
            message = await self.writer.message(entry, claimed.person, claimed.case, name)
        except NotifierError as error:
            return Result("permanent", error=str(error))
        if not self._has_time(notifier, entry):
            return _NO_TIME
        if isinstance(notifier, CarriesSeveral):
            return self._result(await notifier.send_in_step(message, claimed.step.take))
        return self._result(await notifier.send(message))

    def _has_time(self, notifier: Notifier, entry: OutboxEntry) -> bool:
        return entry.lease_until is not None and entry.lease_until - self.clock() > notifier.deadline

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


class _Step:
    """The step that cannot be taken back: one message of a lane takes it, and until that is noted no other does."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock, self._taken = lock, False

    async def take(self) -> None:
        """Wait until it is this message's turn."""
        await self._lock.acquire()
        self._taken = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._taken:
            self._lock.release()


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A message that is ours to send, its recipient and case, and its turn."""

    entry: OutboxEntry
    person: Person
    case: Case | None
    step: _Step


def where(error: BaseException) -> str:
    """Return what kind of error it is and where it came from; its words may hold what nobody is to read in a log."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(
        [type(error).__name__, *(f"{one.name} ({one.filename}:{one.lineno})" for one in reversed(frames))]
    )


class _TriedByAnother(Exception):
    """Another relay tries the channel just now: our claim is undone."""
