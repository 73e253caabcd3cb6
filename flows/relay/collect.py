"""Takes the mails that come back, one after another, each once. Where they come from is in `flows/replies/`."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from case_store import replies
from case_store.actor import Actor
from case_store.errors import LinkKeyUnusable, StoreUnavailable
from case_store.outbox import Policy
from case_store.replies import Addresses, Letter, Taken, mailboxes
from case_store.replies.mailboxes import Reading
from flows.clock import now
from flows.keep_going import keep_going
from flows.replies.mailbox import Arrived, Item, Mailbox, MailboxDown, RepliesRefused
from flows.replies.reading import BEGINNING, LARGEST, read_letter
from flows.replies.set_up import addresses_of, mailbox_of
from flows.resources import Resources

log = logging.getLogger(__name__)

BY: Final = Actor.system("relay")
_LOOK_EVERY: Final = 10.0
_LONGEST_PAUSE: Final = 300.0
_AT_ONCE: Final = 20


async def collect_replies(own: Resources) -> None:
    """Take what comes back, until cancelled; while the mailbox cannot be read, ask it more and more seldom."""
    try:
        mailbox, addresses = mailbox_of(own.settings), None
        if mailbox is not None:
            addresses = addresses_of(own.settings)
    except (RepliesRefused, LinkKeyUnusable) as error:
        log.error("No replies are read: %s", error.diagnostics())  # noqa: TRY400 - it says all
        return
    if mailbox is None or addresses is None:
        return
    step = Collector(own, mailbox, addresses).step
    try:
        await keep_going(step, "Replies", every=_LOOK_EVERY, longest=_LONGEST_PAUSE, known=(MailboxDown,))
    finally:
        await mailbox.close()


@dataclass
class Collector:
    """Takes mails from one mailbox."""

    own: Resources
    mailbox: Mailbox
    addresses: Addresses
    _token: str = field(default_factory=lambda: uuid4().hex)

    async def step(self) -> int:
        """Take what has come, at most so many; return how many there were. 0 when another relay is at it.

        Raises:
            MailboxDown: The mailbox cannot be read; that is noted.
            StoreUnavailable: The case store is not at hand.
        """
        async with self.own.store.transaction() as tx:
            reading = await mailboxes.claim(tx, self.mailbox.name, self._token, now())
        if reading is None:
            return 0
        try:
            taken = await self._take_arrived(reading)
        except MailboxDown as error:
            async with self.own.store.transaction() as tx:
                policy = Policy.of(self.own.settings)
                await mailboxes.failed(tx, reading, str(error), by=BY, at=now(), policy=policy)
            raise
        async with self.own.store.transaction() as tx:
            await mailboxes.worked(tx, reading, by=BY, at=now())
        return taken

    async def _take_arrived(self, reading: Reading) -> int:
        arrived = await self.mailbox.arrived(reading.numbering, reading.cursor, _AT_ONCE)
        if arrived.numbering != reading.numbering:  # what comes from now on counts, whoever reads it elsewhere
            async with self.own.store.transaction() as tx:
                if not await mailboxes.move(tx, reading, numbering=arrived.numbering, cursor=arrived.since, at=now()):
                    return 0
        for item in arrived.items:
            if not await self._take(reading, arrived, item):
                break
        return len(arrived.items)

    async def _take(self, reading: Reading, arrived: Arrived, item: Item) -> bool:
        """Take one mail; False when the mailbox is another relay's by now."""
        letter = await self._letter(item)
        try:
            held = await self._put_on_record(reading, arrived, item, letter)
        except StoreUnavailable:
            raise  # the mail is not at fault, and waits
        except Exception as error:
            log.exception("A mail could not be taken, and is set aside")
            held = await self._put_on_record(reading, arrived, item, letter, because=type(error).__name__)
        if held:
            await self.mailbox.done(item)
        return held

    async def _letter(self, item: Item) -> Letter | None:
        whole = item.size <= LARGEST
        raw = await self.mailbox.read(item, LARGEST if whole else BEGINNING)
        return None if raw is None else await asyncio.to_thread(read_letter, raw, self.addresses, whole=whole)

    async def _put_on_record(
        self, reading: Reading, arrived: Arrived, item: Item, letter: Letter | None, because: str | None = None
    ) -> bool:
        at = now()
        async with self.own.store.transaction() as tx:
            moved = await mailboxes.move(tx, reading, numbering=arrived.numbering, cursor=item.number, at=at)
            if not moved or letter is None:
                return moved
            if because is not None:
                await replies.set_aside(tx, letter, "refused", "error", by=BY, at=at)
                return True
            policy = Policy.of(self.own.settings)
            taken = await replies.take_letter(tx, self.own.blobs, letter, by=BY, at=at, policy=policy)
        _tell(taken)
        return True


def _tell(taken: Taken | None) -> None:
    if taken is not None:
        log.info("A mail came back: %s", " ".join(filter(None, (taken.outcome, taken.why))))
