"""A real SMTP server on a loopback port, in the event loop of the test: it keeps what it gets, or fails as told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Final, Literal, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Moment = Literal["AUTH", "MAIL", "RCPT", "DATA", "dot"]
"""When the server may fail: at a command, or (`dot`) after it has the whole letter."""

DROP: Final = "drop"
"""As an answer: cut the line instead of answering."""
SILENCE: Final = "silence"
"""As an answer: never answer."""


@dataclass(frozen=True, slots=True)
class Received:
    """One letter that reached the server, whether or not the server said so."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    encrypted: bool
    login: str | None
    client: str  # the name it gave itself

    @property
    def letter(self) -> EmailMessage:
        """The letter, parsed."""
        parsed = message_from_bytes(self.content, policy=default)
        if not isinstance(parsed, EmailMessage):
            raise TypeError(f"not a letter: {parsed!r}")
        return parsed


class SmtpServer:
    """`async with SmtpServer() as server:` listens on `server.host` and `server.port` until the block ends.

    Args:
        tls: Certificate to offer and demand STARTTLS with; None to speak in clear.
        implicit: Begin encrypted instead, as on port 465; needs `tls`.
        login: User name and password it demands; None to serve everybody.
        answers: What to answer at a moment instead of the usual: a reply line such as `451 4.7.1 later`, `DROP` or
            `SILENCE` (neither for `AUTH`).

    Attributes:
        received: Letters that arrived whole, oldest first.
        once: As `answers`, each for one time only.
    """

    host: Final = "127.0.0.1"

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        login: tuple[str, str] | None = None,
        answers: Mapping[Moment, str] | None = None,
    ) -> None:
        self.received: list[Received] = []
        self.tls, self.implicit, self.login = tls, implicit, login
        self.once: dict[Moment, str] = {}
        self._answers = dict(answers or {})
        self._news = asyncio.Condition()
        self._silent = asyncio.Event()
        self._talks: list[_Talk] = []
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Port it listens on."""
        if self._server is None:
            raise RuntimeError("the server listens only inside `async with`")
        return int(self._server.sockets[0].getsockname()[1])

    async def wait_for(self, count: int) -> list[Received]:
        """Wait until `count` letters arrived, and give them."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.received) >= count)
        return self.received[:count]

    async def wait_for_silence(self) -> None:
        """Wait until it came to a moment at which it was told to be silent."""
        await self._silent.wait()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        context = self.tls if self.implicit else None
        self._server = await loop.create_server(self._talk, self.host, 0, ssl=context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for talk in self._talks:
            await talk.end()

    def _talk(self) -> _Talk:
        talk = _Talk(self)
        self._talks.append(talk)
        return talk

    async def answer(self, moment: Moment, talk: _Talk) -> str | None:
        """Do what was told for a moment; None when nothing was."""
        answer = self.once.pop(moment, None) or self._answers.get(moment)
        if answer == DROP:
            talk.hang_up()
        elif answer == SILENCE:
            self._silent.set()
            await asyncio.Event().wait()  # until the client leaves: that cancels the conversation
        return answer

    # aiosmtpd calls what follows, by these names.

    async def handle_MAIL(  # noqa: N802
        self, talk: _Talk, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept the sender."""
        if self.login is not None and not session.authenticated:
            return "530 5.7.0 authentication required"
        if answer := await self.answer("MAIL", talk):
            return answer
        envelope.mail_from, envelope.mail_options = address, options
        return "250 2.1.0 ok"

    async def handle_RCPT(  # noqa: N802
        self, talk: _Talk, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept a recipient."""
        if answer := await self.answer("RCPT", talk):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, talk: _Talk, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the letter, then give the receipt."""
        account = cast("LoginPassword | None", session.auth_data)
        login = account.login.decode() if account else None
        content = envelope.original_content or b""
        letter = Received(
            envelope.mail_from or "",
            tuple(envelope.rcpt_tos),
            content,
            talk.encrypted,
            login,
            session.host_name or "",
        )
        async with self._news:
            self.received.append(letter)
            self._news.notify_all()
        return await self.answer("dot", talk) or f"250 2.0.0 ok: queued as {len(self.received)}"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: LoginPassword
    ) -> AuthResult:
        """Compare the login with the one demanded."""
        told = self._answers.get("AUTH")
        right = self.login == (given.login.decode(), given.password.decode())
        return AuthResult(success=right and told is None, handled=False, message=told, auth_data=given)


class _Talk(SMTP):
    """One client's conversation with the server."""

    def __init__(self, server: SmtpServer) -> None:
        super().__init__(
            server,
            hostname="localhost",
            tls_context=None if server.implicit else server.tls,
            require_starttls=not server.implicit,
            auth_require_tls=not server.implicit,  # aiosmtpd knows only of encryption by STARTTLS
            authenticator=server.authenticate,
            loop=asyncio.get_running_loop(),
        )
        self._of = server

    @property
    def encrypted(self) -> bool:
        """Whether nobody between could read along."""
        return self.transport is not None and self.transport.get_extra_info("sslcontext") is not None

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        """Ask for the content, or answer as told."""
        if answer := await self._of.answer("DATA", self):
            await self.push(answer)
        else:
            await super().smtp_DATA(arg)

    def hang_up(self) -> None:
        """Cut the line."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    async def end(self) -> None:
        """Cut the line and wait until the conversation has noticed."""
        self.hang_up()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()  # it does not notice by itself when the encryption failed to begin
            await asyncio.gather(self._handler_coroutine, return_exceptions=True)
