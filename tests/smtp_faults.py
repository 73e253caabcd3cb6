"""A mail server by script: at one step it does one wrong thing. On bare streams, so that it can break any rule."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from types import TracebackType
from typing import Final, Self

HANG: Final = "hang"
"""As a fault: say nothing any more."""
CUT: Final = "cut"
"""As a fault: reset the connection."""
DRIP: Final = "drip"
"""As a fault: answer rightly, one byte at a time, so slowly that no answer ever ends."""
PLAIN: Final = "plain"
"""As a fault of `tls`: answer the handshake with words."""

_USUAL: Final = {
    "greeting": "220 mail.corp.example ESMTP",
    "EHLO": "250-mail.corp.example\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 PIPELINING",
    "STARTTLS": "220 2.0.0 go ahead",
    "AUTH": "235 2.7.0 welcome",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 end with a dot",
    "dot": "250 2.0.0 queued as 17",
    "QUIT": "221 2.0.0 bye",
}


class FaultyServer:
    """`async with FaultyServer(tls, step, fault) as server:` listens on `server.port` until the block ends.

    Args:
        tls: Its certificate.
        step: Where it does wrong: a command, `greeting`, `tls` (the handshake), `content` (in the middle of the letter)
            or `dot` (the whole letter was read). `EHLO` is the second one, on the encrypted line.
        fault: A reply to give instead of the right one; `HANG`, `CUT`, `DRIP` or `PLAIN`.
        only: Do wrong only when the command holds this.

    Attributes:
        letters: Recipients of the letters it read to the end.
        stuck: Set once it hangs or drips.
    """

    def __init__(self, tls: ssl.SSLContext, step: str, fault: str, *, only: str = "") -> None:
        self.letters: list[str] = []
        self.stuck = asyncio.Event()
        self._tls, self._step, self._fault, self._only = tls, step, fault, only
        self._talks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            await self._talk(reader, writer)
        writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        encrypted, recipient = False, ""
        await self._answer(writer, "greeting", "")
        while command := (await reader.readline()).decode().strip():
            verb = command.partition(" ")[0].upper()
            step = "first EHLO" if verb == "EHLO" and not encrypted else verb
            if verb == "RCPT":
                recipient = command
            answer = await self._answer(writer, step, command, recipient)
            if verb == "STARTTLS" and answer.startswith("220"):
                await self._encrypt(writer)
                encrypted = True
            elif verb == "DATA" and answer.startswith("354"):
                await self._read_letter(reader, writer, recipient)
            elif verb == "QUIT":
                return

    async def _encrypt(self, writer: asyncio.StreamWriter) -> None:
        if self._step == "tls":
            await self._do_wrong(writer, "this is no handshake\r\n")
        await writer.start_tls(self._tls)

    async def _read_letter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, recipient: str) -> None:
        if self._step == "content":
            await reader.readline()
            await self._do_wrong(writer, "")
        await reader.readuntil(b"\r\n.\r\n")
        self.letters.append(recipient)
        await self._answer(writer, "dot", recipient)

    async def _answer(self, writer: asyncio.StreamWriter, step: str, command: str, about: str = "") -> str:
        usual = _USUAL[step.removeprefix("first ")]
        if step != self._step or self._only not in (command + about):
            answer = usual
        else:
            answer = await self._do_wrong(writer, usual)
        writer.write(f"{answer}\r\n".encode("latin-1"))
        await writer.drain()
        return answer

    async def _do_wrong(self, writer: asyncio.StreamWriter, usual: str) -> str:
        if self._fault == CUT:
            writer.transport.abort()
            raise EOFError
        if self._fault in {HANG, DRIP}:
            self.stuck.set()
            for byte in usual.encode() * (self._fault == DRIP):
                writer.write(bytes([byte]))
                await asyncio.sleep(0.1)
            await asyncio.Event().wait()
        if self._fault == PLAIN:
            writer.write(usual.encode())
            await asyncio.Event().wait()
        return self._fault
