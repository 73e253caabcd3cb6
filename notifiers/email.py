"""E-mail over SMTP. At least once: a letter in doubt may be sent again, under the same Message-ID."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import localtime

from aiosmtplib import SMTPDataError, SMTPResponseException, SMTPServerDisconnected

from notifiers.cleaning import one_line
from notifiers.contract import LastStep, Message, Outcome
from notifiers.errors import NotifierError, SettingsRefused
from notifiers.letter import Letter, compose, not_written
from notifiers.reaching import CannotBeAsked
from notifiers.settings import EmailConfig
from notifiers.smtp_answers import Step, outcome_of
from notifiers.smtp_lines import FAILURES, Line, Lines
from notifiers.trace import Trace, untold

_START_INPUT = 354
_COMPLETED = range(200, 300)
_CLOSING = 421
_END = b".\r\n"


class EmailNotifier(CannotBeAsked):
    """Sends each message as one letter to one mailbox; keeps a few connections for the next.

    Raises:
        SettingsRefused: The file of trusted certificates cannot be read.
    """

    channel = "email"

    def __init__(
        self, config: EmailConfig, *, clock: Callable[[], datetime] = localtime, trace: Trace = untold
    ) -> None:
        self._config, self._clock, self._trace = config, clock, trace
        self._tls = None if config.encryption == "none" else _trust(config)
        self._lines: Lines | None = None

    @property
    def deadline(self) -> timedelta:
        """Time within which `send` has returned."""
        return timedelta(seconds=self._config.deadline)

    @property
    def at_once(self) -> int:
        """How many letters it hands over at the same time: one on each connection."""
        return self._config.connections

    async def send(self, message: Message) -> Outcome:
        """Try once to hand the letter to the mail server; its Message-ID is the provider's reference."""
        return await self.send_in_step(message, _at_once)

    async def send_in_step(self, message: Message, last_step: LastStep) -> Outcome:
        """Do as `send` does, and wait before the dot that ends the letter."""
        try:
            letter = compose(message, self._config, self._clock())
        except NotifierError as refused:
            return not_written(refused)
        if self._lines is None:
            self._lines = Lines(self._config, self._tls, self._trace)
        talk = _Conversation(letter, self._config, self._trace, last_step)
        try:
            receipt = await talk.hand_over(self._lines)
        except FAILURES as failure:
            outcome = outcome_of(failure, talk.step)
            # A bounce may tell of it yet, and finds it by that.
            return replace(outcome, provider_ref=letter.message_id) if outcome.kind == "unknown" else outcome
        return Outcome.ok(letter.message_id, receipt)

    async def close(self) -> None:
        """Close the connections."""
        if self._lines is not None:
            lines, self._lines = self._lines, None
            await lines.close()


class _Conversation:
    """One letter's conversation with the mail server; knows how far it came when it breaks off."""

    def __init__(self, letter: Letter, config: EmailConfig, trace: Trace, last_step: LastStep) -> None:
        self.step = Step.QUEUE
        self._last_step = last_step
        self._letter, self._config, self._trace = letter, config, trace
        self._limit = asyncio.timeout(config.deadline - config.receipt_timeout)

    async def hand_over(self, lines: Lines) -> str:
        """Hand the letter over and give the server's receipt.

        Raises:
            TimeoutError: It took too long; `step` tells whether the letter was on its way already.
        """
        try:
            async with self._limit:
                return await self._over_a_kept_line(lines)
        except TimeoutError as failure:
            if not self._limit.expired():
                raise
            seconds = self._config.deadline - self._config.receipt_timeout
            raise TimeoutError(f"not handed over within {seconds:g} s") from failure

    async def _over_a_kept_line(self, lines: Lines) -> str:
        """Hand it over on a connection that was kept, if there is one, and on a new one if that has gone meanwhile."""
        carried = 0
        try:
            async with lines.one(self._reach) as line:
                carried = line.letters
                return await self._over(line)
        except FAILURES as failure:
            if not (carried and self.step is Step.SENDER and _is_gone(failure)):
                raise
            self._trace("the mail server has closed the connection meanwhile; open another")
        async with lines.one(self._reach, fresh=True) as line:
            return await self._over(line)

    async def _over(self, line: Line) -> str:
        client = line.client
        self._reach(Step.SENDER)
        await client.mail(self._letter.sender)
        self._reach(Step.RECIPIENT)
        await client.rcpt(self._letter.recipient)
        self._trace(f"the mail server takes letters from {self._letter.sender} to {self._letter.recipient}")
        self._reach(Step.CONTENT)
        # Not `client.data()`: it does in one what must be told apart here. A line that breaks before the server
        # asks for the content is harmless; after the content it leaves us in doubt.
        reply = await client.execute_command(b"DATA")
        if reply.code != _START_INPUT:
            raise SMTPDataError(reply.code, reply.message)
        wire = client.protocol
        if wire is None:
            raise SMTPServerDisconnected("Connection lost")
        wire.write(_stuffed(self._letter.content))
        await self._last_step()
        self._reach(Step.RECEIPT)
        wire.write(_END)
        self._limit.reschedule(None)  # the receipt has a time of its own, however long the way to here was
        reply = await wire.read_response(timeout=self._config.receipt_timeout)
        if reply.code not in _COMPLETED:
            raise SMTPDataError(reply.code, reply.message)
        line.letters += 1
        return one_line(f"{reply.code} {reply.message}", 200)

    def _reach(self, step: Step) -> None:
        self.step = step


async def _at_once() -> None:
    """Wait for nobody."""


def _is_gone(failure: Exception) -> bool:
    if isinstance(failure, SMTPResponseException):
        return failure.code == _CLOSING
    return isinstance(failure, SMTPServerDisconnected | OSError)


def _stuffed(content: bytes) -> bytes:
    """Double the dot at the start of a line, so that only our own lone dot ends the letter (RFC 5321 4.5.2)."""
    return re.sub(rb"(?m)^\.", b"..", content)


def _trust(config: EmailConfig) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=config.ca_file)
    except (OSError, ssl.SSLError) as reason:
        raise SettingsRefused(
            f"e-mail: the certificates to trust cannot be read from {config.ca_file}: {reason}",
            next_step="Name a readable PEM file, or none to trust the system's certificates.",
        ) from reason
