"""E-mail into a folder: each letter becomes a file that any mail program opens. For trying things out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import localtime
from pathlib import Path

from notifiers.contract import Message, Outcome
from notifiers.errors import NotifierError
from notifiers.letter import Letter, compose, not_written
from notifiers.settings import EmailConfig


class FolderNotifier:
    """Writes each message as one `.eml` file, named by its Message-ID, so a repeat replaces what is there."""

    channel = "email"
    can_find = False
    deadline = timedelta(seconds=30)

    def __init__(self, folder: Path, config: EmailConfig, *, clock: Callable[[], datetime] = localtime) -> None:
        self._folder, self._config, self._clock = folder, config, clock

    async def send(self, message: Message) -> Outcome:
        """Write the letter; a full disk or a folder that may not be written is temporary."""
        try:
            letter = compose(message, self._config, self._clock())
        except NotifierError as refused:
            return not_written(refused)
        try:
            await asyncio.to_thread(self._write, letter)
        except OSError as error:
            return Outcome.temporary(f"the letter could not be written to {self._folder}: {error.strerror}")
        return Outcome.ok(letter.message_id, f"kept as a file in {self._folder}")

    async def find(self, message: Message, since: datetime) -> Outcome | None:  # noqa: ARG002 - the contract's
        """Say that nobody can be asked: a mail server tells nothing about letters it took."""
        return Outcome.temporary("a mail server cannot be asked for a letter")

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    def _write(self, letter: Letter) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._folder / f"{letter.message_id.strip('<>').partition('@')[0]}.eml"
        part = file.with_suffix(".part")
        try:
            part.write_bytes(letter.content)
            part.replace(file)
        except OSError:
            part.unlink(missing_ok=True)
            raise
