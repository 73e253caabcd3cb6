"""E-mail over SMTP. At least once: a letter in doubt may be sent again, under the same Message-ID."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import localtime

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPServerDisconnected

from notifiers.cleaning import one_line
from notifiers.contract import Message, Outcome
from notifiers.errors import NotifierError, SettingsRefused
from notifiers.letter import Letter, compose, not_written
from notifiers.settings import EmailConfig
from notifiers.smtp_answers import Step, outcome_of

# What a try can fail with. OSError: timeouts, and TLS errors that aiosmtplib lets through. ValueError: names and words
# that cannot be encoded, digests this machine does not allow.
_FAILURES = (SMTPException, OSError, ValueError)
_START_INPUT = 354
_COMPLETED = range(200, 300)
# The letter is already received; the goodbye is only manners.
_GOODBYE_SECONDS = 2


class EmailNotifier:
    """Sends each message as one letter to one mailbox, over a connection of its own.

    Raises:
        SettingsRefused: The file of trusted certificates cannot be read.
    """

    channel = "email"
    can_find = False

    def __init__(self, config: EmailConfig, *, clock: Callable[[], datetime] = localtime) -> None:
        self._config = config
        self._clock = clock
        self._tls = None if config.encryption == "none" else _trust(config)

    @property
    def deadline(self) -> timedelta:
        """Time within which `send` has returned."""
        return timedelta(seconds=self._config.deadline + _GOODBYE_SECONDS)

    async def send(self, message: Message) -> Outcome:
        """Try once to hand the letter to the mail server; its Message-ID is the provider's reference."""
        try:
            letter = compose(message, self._config, self._clock())
        except NotifierError as refused:
            return not_written(refused)
        talk = _Conversation(self._client(), letter, self._config)
        limit = asyncio.timeout(self._config.deadline)
        try:
            async with limit:
                receipt = await talk.hand_over()
        except _FAILURES as failure:
            late = TimeoutError(f"no end within {self._config.deadline:g} s")
            return outcome_of(late if limit.expired() else failure, talk.step)
        else:
            await talk.say_goodbye()
        finally:
            talk.client.close()
        return Outcome.ok(letter.message_id, receipt)

    async def find(self, message: Message, since: datetime) -> Outcome | None:  # noqa: ARG002 - the contract's
        """Say that nobody can be asked: a mail server tells nothing about letters it took."""
        return Outcome.temporary("a mail server cannot be asked for a letter")

    async def close(self) -> None:
        """Do nothing: no connection outlives its letter."""

    def _client(self) -> SMTP:
        config = self._config
        # `start_tls` is never left to its default: that one sends in clear text when the server offers no encryption.
        return SMTP(
            hostname=config.host,
            port=config.port,
            use_tls=config.encryption == "implicit",
            start_tls=config.encryption == "starttls",
            tls_context=self._tls,
            username=config.username,
            password=None if config.password is None else config.password.get_secret_value(),
            local_hostname=config.domain,
            timeout=config.step_timeout,
        )


class _Conversation:
    """One letter's conversation with the mail server; knows how far it came when it breaks off."""

    def __init__(self, client: SMTP, letter: Letter, config: EmailConfig) -> None:
        self.client = client
        self.step = Step.CONNECT
        self._letter = letter
        self._config = config

    async def hand_over(self) -> str:
        """Hand the letter over and give the server's receipt."""
        await self.client.connect()
        self.step = Step.SENDER
        await self.client.mail(self._letter.sender)
        self.step = Step.RECIPIENT
        await self.client.rcpt(self._letter.recipient)
        self.step = Step.CONTENT
        # Not `client.data()`: it does in one what must be told apart here. A line that breaks before the server
        # asks for the content is harmless; after the content it leaves us in doubt.
        reply = await self.client.execute_command(b"DATA")
        if reply.code != _START_INPUT:
            raise SMTPDataError(reply.code, reply.message)
        line = self.client.protocol
        if line is None:
            raise SMTPServerDisconnected("Connection lost")
        line.write(_stuffed(self._letter.content))
        self.step = Step.RECEIPT
        reply = await line.read_response(timeout=self._config.receipt_timeout)
        if reply.code not in _COMPLETED:
            raise SMTPDataError(reply.code, reply.message)
        return one_line(f"{reply.code} {reply.message}", 200)

    async def say_goodbye(self) -> None:
        """Quit politely; whatever happens now, the letter is delivered."""
        with suppress(*_FAILURES):
            await self.client.quit(timeout=_GOODBYE_SECONDS)


def _stuffed(content: bytes) -> bytes:
    """Double the dot at the start of a line, so that only our own lone dot ends the letter (RFC 5321 4.5.2)."""
    return re.sub(rb"(?m)^\.", b"..", content) + b".\r\n"


def _trust(config: EmailConfig) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=config.ca_file)
    except (OSError, ssl.SSLError) as reason:
        raise SettingsRefused(
            f"e-mail: the certificates to trust cannot be read from {config.ca_file}: {reason}",
            next_step="Name a readable PEM file, or none to trust the system's certificates.",
        ) from reason
