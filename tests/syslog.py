"""A syslog server on loopback, over TCP or TLS, that can die in the middle; and a reader of RFC 5424."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

_PAIR = r' ([^= \]"]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"'
_MESSAGE = re.compile(
    r"<(\d{1,3})>1 (\S+) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
    rf"(-|(?:\[[!-~]{{1,32}}?(?:{_PAIR})*\])+)(?: (.*))?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Parsed:
    """A message, taken apart as RFC 5424 section 6 has it."""

    facility: int
    severity: int
    at: datetime
    host: str
    app: str
    msgid: str
    data: dict[str, str]
    text: str

    @classmethod
    def of(cls, content: bytes) -> Self:
        found = _MESSAGE.fullmatch(content.decode())
        assert found is not None, content
        facility, severity = divmod(int(found[1]), 8)
        pairs = re.findall(_PAIR, found[7])
        data = {name: re.sub(r"\\(.)", r"\1", value) for name, value in pairs}
        at = datetime.fromisoformat(found[2])
        return cls(facility, severity, at, found[3], found[4], found[6], data, found[10] or "")


@dataclass
class SyslogServer:
    """Collects messages, connection by connection.

    `resets_after` has it reset the connection after so many messages, as a process that is killed does; `hangs` has it
    read nothing; `answers_the_end` off has it close without TLS's close_notify.
    """

    tls: ssl.SSLContext | None = None
    port: int = 0
    resets_after: int | None = None
    hangs: bool = False
    answers_the_end: bool = True
    connections: list[list[bytes]] = field(default_factory=list)
    rest: bytes = b""
    """What arrived and was no message."""

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listening.getsockname()[1]
        self._arrived = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    @property
    def messages(self) -> list[bytes]:
        """Everything that arrived, in its order."""
        return [message for connection in self.connections for message in connection]

    def wait_for(self, count: int) -> list[bytes]:
        """Wait until so many messages arrived."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.messages) >= count, timeout=20)
        return self.messages

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self._take(connection)

    def _take(self, plain: socket.socket) -> None:
        plain.settimeout(20)
        if self.hangs:
            self._stopping.wait(20)
            return
        connection = plain if self.tls is None else self._secured(plain, self.tls)
        got: list[bytes] = []
        self.connections.append(got)
        buffer = b""
        while piece := connection.recv(65536):
            buffer += piece
            while (frame := re.match(rb"([1-9][0-9]*) ", buffer)) and len(buffer) >= frame.end() + int(frame[1]):
                end = frame.end() + int(frame[1])
                with self._arrived:
                    got.append(buffer[frame.end() : end])
                    self._arrived.notify_all()
                buffer = buffer[end:]
                if self.resets_after is not None and len(got) >= self.resets_after:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.close()
                    return
        self.rest += buffer
        if isinstance(connection, ssl.SSLSocket):
            if self.answers_the_end:
                connection.unwrap()
            connection.close()

    @staticmethod
    def _secured(plain: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        return tls.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False)
