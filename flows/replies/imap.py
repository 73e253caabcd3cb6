"""Reads a mailbox over IMAP (RFC 3501, 9051). One connection, kept; a new one when it was lost.

The library blocks, so each step runs in a thread. Every answer of the server has its time.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from imapclient import SEEN, IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientError, LoginError
from pydantic import SecretStr

from flows.daemon_thread import in_daemon_thread
from flows.replies.mailbox import Arrived, Item, MailboxDown
from notifiers.cleaning import one_line

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 30.0

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapConfig:
    """How the mailbox is reached; see the settings `imap_...`."""

    host: str
    port: int
    security: str
    user: str
    password: SecretStr
    folder: str = "INBOX"
    ca_file: Path | None = None


class ImapMailbox:
    """The folder of a mailbox at an IMAP server."""

    name = "imap"

    def __init__(self, config: ImapConfig) -> None:
        self._config = config
        self._client: IMAPClient | None = None

    async def arrived(self, numbering: int | None, cursor: int, most: int) -> Arrived:
        """Return the mails after the cursor. What is read by people elsewhere comes all the same: the cursor counts."""
        return await self._do(lambda: self._arrived(numbering, cursor, most))

    async def read(self, item: Item, most: int) -> bytes | None:
        """Return the bytes of a mail; they stay unread at the server until `done`."""
        return await self._do(lambda: self._read(item, most))

    async def done(self, item: Item) -> None:
        """Mark a mail as seen, where the server lets us: the cursor is what counts."""
        await self._do(lambda: self._mark(item))

    async def close(self) -> None:
        """Hang up."""
        self._hang_up()

    async def _do(self, work: Callable[[], Result]) -> Result:
        try:
            return await in_daemon_thread(work, "imap")
        except (IMAPClientError, OSError, ValueError, LookupError, TypeError) as error:
            self._hang_up()
            raise MailboxDown(f"{self._config.host}: {_words(error)}", next_step=_next_step(error)) from error
        except BaseException:
            self._hang_up()
            raise

    def _arrived(self, numbering: int | None, cursor: int, most: int) -> Arrived:
        client = self._connected()
        ours, last = self._opened(client, numbering, cursor)
        # `n:*` also names the last message when its number is smaller.
        found = sorted(uid for uid in client.search(["UID", f"{last + 1}:*"]) if uid > last)[:most]
        sizes = client.fetch(found, ["RFC822.SIZE"]) if found else {}
        items = [Item(str(uid), uid, int(sizes.get(uid, {}).get(b"RFC822.SIZE", 0))) for uid in found]
        return Arrived(ours, last, items)

    def _opened(self, client: IMAPClient, numbering: int | None, cursor: int) -> tuple[int, int]:
        """Open the folder; return its numbering, and the last number that is behind us."""
        told: dict[bytes, Any] = client.select_folder(self._config.folder)
        ours = int(told.get(b"UIDVALIDITY", 0))
        if ours == numbering:
            return ours, cursor
        unseen = client.search(["UNSEEN"])
        return ours, min(unseen) - 1 if unseen else int(told.get(b"UIDNEXT", 1)) - 1

    def _read(self, item: Item, most: int) -> bytes | None:
        client = self._connected()
        part = "BODY.PEEK[]" if item.size <= most else f"BODY.PEEK[]<0.{most}>"
        found = client.fetch([item.number], [part]).get(item.number, {})
        return next((bytes(value) for key, value in found.items() if key.startswith(b"BODY[]") and value), None)

    def _mark(self, item: Item) -> None:
        with suppress(IMAPClientError):  # a mailbox that may only be read
            self._connected().add_flags([item.number], [SEEN], silent=True)

    def _connected(self) -> IMAPClient:
        if self._client is not None:
            try:
                self._client.noop()
            except (IMAPClientError, OSError):
                self._hang_up()
            else:
                return self._client
        self._client = self._connect()
        self._client.select_folder(self._config.folder)
        return self._client

    def _connect(self) -> IMAPClient:
        config = self._config
        trust = None if config.security == "none" else ssl.create_default_context(cafile=config.ca_file)
        client = IMAPClient(
            config.host,
            port=config.port,
            ssl=config.security == "tls",
            ssl_context=trust if config.security == "tls" else None,
            timeout=SocketTimeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        )
        try:
            if config.security == "starttls":
                client.starttls(trust)
            client.login(config.user, config.password.get_secret_value())
        except BaseException:
            _hung_up(client)
            raise
        return client

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            _hung_up(client)


def _hung_up(client: IMAPClient) -> None:
    with suppress(IMAPClientError, OSError, AttributeError):
        client.shutdown()


def _words(error: Exception) -> str:
    if isinstance(error, LoginError):
        return "the login is refused"
    return one_line(str(error), 300) or type(error).__name__


def _next_step(error: Exception) -> str | None:
    if isinstance(error, LoginError):
        return "correct CASEWRIGHT_IMAP_USER and CASEWRIGHT_IMAP_PASSWORD; mails wait in the mailbox meanwhile"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "name the certificates to trust: CASEWRIGHT_IMAP_CA_FILE; and the host as its certificate does"
    return None
