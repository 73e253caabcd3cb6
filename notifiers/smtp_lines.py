"""A few connections to the mail server, kept open between letters: a new one for each costs several times as much."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from aiosmtplib import SMTP, SMTPException

from notifiers.settings import EmailConfig
from notifiers.smtp_answers import Step
from notifiers.trace import Trace

# What a conversation can fail with. OSError: timeouts, and TLS errors that aiosmtplib lets through. ValueError: names
# and words that cannot be encoded, digests this machine does not allow.
FAILURES = (SMTPException, OSError, ValueError)
# The letters are already received; the goodbye is only manners.
_GOODBYE_SECONDS = 2


@dataclass(eq=False)
class Line:
    """One connection; `letters` is how many it has carried."""

    client: SMTP
    letters: int = 0
    retirement: asyncio.TimerHandle | None = None


class Lines:
    """Lends connections, each to one letter at a time. All of one event loop."""

    def __init__(self, config: EmailConfig, tls: ssl.SSLContext | None, trace: Trace) -> None:
        self._config, self._tls, self._trace = config, tls, trace
        self._slots = asyncio.Semaphore(config.connections)
        self._idle: list[Line] = []
        self._goodbyes: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def one(self, tell: Callable[[Step], None], *, fresh: bool = False) -> AsyncIterator[Line]:
        """Lend a connection, opening one if none is idle. Whatever goes wrong meanwhile, it is never lent again.

        Args:
            tell: Is told how far the opening has come.
            fresh: Open one even if another is idle.
        """
        async with self._slots:
            line = None if fresh else self._take()
            if line is None:
                line = Line(self._client())
            try:
                if not line.client.is_connected:
                    await self._open(line.client, tell)
                yield line
            except BaseException:
                line.client.close()
                raise
            self._keep(line)

    async def close(self) -> None:
        """Say goodbye on all idle connections."""
        while self._idle:
            self._retire(self._idle[-1])
        await asyncio.gather(*self._goodbyes)

    def _take(self) -> Line | None:
        while self._idle:
            line = self._idle.pop()  # the one used last: the others may retire
            if line.retirement is not None:
                line.retirement.cancel()
            if line.client.is_connected:
                return line
        return None

    def _keep(self, line: Line) -> None:
        self._idle.append(line)
        line.retirement = asyncio.get_running_loop().call_later(self._config.idle, self._retire, line)
        if line.letters >= self._config.letters_each:
            self._retire(line)

    def _retire(self, line: Line) -> None:
        self._idle.remove(line)
        if line.retirement is not None:
            line.retirement.cancel()
        goodbye = asyncio.get_running_loop().create_task(_say_goodbye(line.client))
        self._goodbyes.add(goodbye)
        goodbye.add_done_callback(self._goodbyes.discard)

    def _client(self) -> SMTP:
        config = self._config
        # `start_tls` is never left to its default: that one sends in clear text when the server offers no encryption.
        # Here it is off because `_open` demands the upgrade itself, and so knows how far it came.
        return SMTP(
            hostname=config.host,
            port=config.port,
            use_tls=config.encryption == "implicit",
            start_tls=False,
            tls_context=self._tls,
            local_hostname=config.domain,
            timeout=config.step_timeout,
        )

    async def _open(self, client: SMTP, tell: Callable[[Step], None]) -> None:
        config = self._config
        tell(Step.CONNECT)
        self._trace(f"connect to {config.host} port {config.port}")
        await client.connect()
        if config.encryption == "starttls":
            tell(Step.ENCRYPT)
            self._trace("demand encryption (STARTTLS)")
            await client.starttls()
        self._trace(_encryption(client))
        if config.username is not None and config.password is not None:
            tell(Step.LOGIN)
            self._trace(f"log in as {config.username}")
            await client.login(config.username, config.password.get_secret_value())
            self._trace("logged in")


def _encryption(client: SMTP) -> str:
    session = client.get_transport_info("ssl_object")
    if session is None:
        return "the line is not encrypted: the mail server is on this machine"
    return f"encrypted with {session.version()}, {session.cipher()[0]}; the certificate is trusted"


async def _say_goodbye(client: SMTP) -> None:
    with suppress(*FAILURES):
        await client.quit(timeout=_GOODBYE_SECONDS)
    client.close()
