"""Has the record leave the machine: events and checkpoints go to the sinks of the settings.

Each sink has a task and a thread of its own, so one that is down holds up nobody: neither the seal nor other sinks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from case_store.actor import Actor
from case_store.errors import StoreDamaged
from case_store.sinks import content, mail, state
from case_store.sinks.address import Address, configured
from case_store.sinks.carriers import carrier
from case_store.sinks.contract import Line, Sink, SinkDown
from case_store.sinks.state import Claim
from case_store.store import CaseStore
from flows.clock import now
from flows.daemon_thread import in_daemon_thread
from flows.keep_going import at_last, keep_going
from flows.resources import Resources

log = logging.getLogger(__name__)

BY = Actor.system("relay")
_LOOK_EVERY = 1.0
_LONGEST_PAUSE = 60.0


async def forward(own: Resources) -> None:
    """Deliver to all sinks, until cancelled."""
    addresses = configured(own.settings)
    await _register(own.store, addresses)
    async with asyncio.TaskGroup() as group:
        for address in addresses:
            group.create_task(keep_delivering(own.store, address))


async def _register(store: CaseStore, addresses: list[Address]) -> None:
    async def step() -> None:
        async with store.transaction() as tx:
            await state.register(tx, addresses, by=BY, at=now())

    await at_last(step, "The sinks", every=_LOOK_EVERY)


async def keep_delivering(store: CaseStore, address: Address) -> None:
    """Deliver to one sink, until cancelled; while it is down, more and more seldom."""
    step = Delivery(store, address).step
    await keep_going(
        step, f"Sink {address.name}", every=_LOOK_EVERY, longest=_LONGEST_PAUSE, known=(SinkDown, StoreDamaged)
    )


@dataclass
class Delivery:
    """Deliveries to one sink, one after another."""

    store: CaseStore
    address: Address
    make: Callable[[Address], Sink] = field(default=carrier)

    async def step(self) -> int:
        """Deliver what comes next; returns by how much the cursor moved.

        Raises:
            SinkDown: The sink took nothing; that is noted.
            StoreDamaged: What comes next is not as it was written; that is noted.
            StoreError: The case store is not at hand.
        """
        async with self.store.reading() as tx:
            if not await state.is_due(tx, self.address):
                return 0
            if self.address.kind == "mailto" and not await mail.is_due(tx, self.address, now()):
                return 0
        async with self.store.transaction() as tx:
            claim = await state.claim(tx, self.address.name, uuid4().hex, now())
        if claim is None:
            return 0
        try:
            return await (self._promise(claim) if self.address.kind == "mailto" else self._deliver(claim))
        except (SinkDown, StoreDamaged) as error:
            async with self.store.transaction() as tx:
                await state.fail(tx, claim, str(error), now())
            raise

    async def _deliver(self, claim: Claim) -> int:
        async with self.store.reading() as tx:
            found = await content.next_for(tx, self.address, claim.cursor)
        if found.lines:
            await _in_thread(self.make(self.address), found.lines)
        async with self.store.transaction() as tx:
            settled = await state.settle(tx, claim, cursor=found.cursor, size=found.size, at=now())
        return found.cursor - claim.cursor if settled and self.address.what == "events" else 0

    async def _promise(self, claim: Claim) -> int:
        async with self.store.transaction() as tx:
            promised = await mail.promise(tx, self.address, now())
            if promised is not None:
                await state.settle(tx, claim, cursor=promised.id, size=promised.size, at=now())
        return 0


async def _in_thread(sink: Sink, lines: Sequence[Line]) -> None:
    def deliver() -> None:
        try:
            sink.deliver(lines)
        except SinkDown:
            raise
        except Exception as error:  # a mistake in one sink must not end the relay
            raise SinkDown(f"{type(error).__name__}: {error}", next_step="report it with this message") from error

    await in_daemon_thread(deliver, "sink")
