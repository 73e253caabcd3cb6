"""Reads a folder into which a mail server puts mails: a maildir, or `.eml` files. Nothing in it is deleted."""

from __future__ import annotations

import os
import stat
from asyncio import to_thread
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from flows.replies.mailbox import Arrived, Item, MailboxDown

_QUIET_SECONDS: Final = 1.0
"""How long nobody may have written to a file: who does not put it there whole may still be at it."""

Result = TypeVar("Result")


class SpoolMailbox:
    """A folder of mails."""

    name = "spool"

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self._folder, self._clock = folder, clock

    async def arrived(self, numbering: int | None, cursor: int, most: int) -> Arrived:  # noqa: ARG002 - the contract's
        """Return the mails that are in the folder, by name."""
        return await self._do(lambda: Arrived(None, 0, self._items(most)))

    async def read(self, item: Item, most: int) -> bytes | None:
        """Return the bytes of a mail."""
        return await self._do(lambda: _content(Path(item.ref), most))

    async def done(self, item: Item) -> None:
        """Move a mail away: within a maildir to `cur`, else to `taken`."""
        await self._do(lambda: self._move(Path(item.ref)))

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    async def _do(self, work: Callable[[], Result]) -> Result:
        try:
            return await to_thread(work)
        except OSError as error:
            step = f"let the relay read and write {self._folder}; mails wait there meanwhile"
            raise MailboxDown(f"{self._folder}: {error.strerror or error}", next_step=step) from error

    @property
    def _is_maildir(self) -> bool:
        return (self._folder / "new").is_dir() and (self._folder / "cur").is_dir()

    def _items(self, most: int) -> list[Item]:
        into = self._folder / ("cur" if self._is_maildir else "taken")
        if not self._is_maildir:
            into.mkdir(mode=0o700, exist_ok=True)
        if not os.access(into, os.W_OK):
            raise PermissionError(13, "mails that were taken cannot be moved away")
        return [Item(str(file), 0, size) for file, size in self._mails(most)]

    def _mails(self, most: int) -> Iterator[tuple[Path, int]]:
        files = (self._folder / "new").iterdir() if self._is_maildir else self._folder.glob("*.eml")
        now, found = self._clock().timestamp(), 0
        for file in sorted(files):
            told = file.lstat()
            written = 0 <= now - told.st_mtime < _QUIET_SECONDS and not self._is_maildir
            if stat.S_ISREG(told.st_mode) and not written and found < most:
                found += 1
                yield file, told.st_size

    def _move(self, file: Path) -> None:
        if self._is_maildir:
            file.replace(self._folder / "cur" / f"{file.name.partition(':')[0]}:2,S")
            return
        into = self._folder / "taken" / file.name
        file.replace(into if not into.exists() else into.with_name(f"{file.stem}-{os.urandom(4).hex()}.eml"))


def _content(file: Path, most: int) -> bytes | None:
    try:
        # A link may have taken the file's place meanwhile, and may lead anywhere.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as content:
        return content.read(most)
