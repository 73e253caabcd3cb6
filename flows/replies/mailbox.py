"""What every place that replies come to promises to whoever reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from case_store.errors import StoreError


class MailboxDown(StoreError):
    """The mailbox that replies come to cannot be read."""

    next_step = "nothing is lost: mails wait there; see docs/howto/answer.md for what it needs"


class RepliesRefused(StoreError):
    """Replies are set up in a way that does not do."""

    next_step = "correct the settings: docs/howto/answer.md names them"


@dataclass(frozen=True, slots=True)
class Item:
    """A mail that has come in. `number` grows with each in one numbering; 0 where there are none."""

    ref: str
    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """Mails that have come in, the oldest first; the numbering of their numbers, and the last number before."""

    numbering: int | None
    since: int
    items: Sequence[Item]


class Mailbox(Protocol):
    """A place that replies come to. Whatever goes wrong in it is `MailboxDown`."""

    @property
    def name(self) -> str:
        """Its name: `imap` or `spool`. Relays with the same name take turns."""
        ...

    async def arrived(self, numbering: int | None, cursor: int, most: int) -> Arrived:
        """Return at most so many mails that came after the one at the cursor; in another numbering, the unread ones."""
        ...

    async def read(self, item: Item, most: int) -> bytes | None:
        """Return the bytes of a mail, or so many of them; None when somebody took it away."""
        ...

    async def done(self, item: Item) -> None:
        """Mark a mail as taken, for whoever else looks there. It may not come to that: then it is read once more."""
        ...

    async def close(self) -> None:
        """Let go of what is open. May be called twice."""
        ...
