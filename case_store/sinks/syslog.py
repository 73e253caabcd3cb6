"""Syslog as a sink: over TLS (RFC 5425), TCP (RFC 6587) and UDP (RFC 5426).

Syslog answers nothing, so a sender that only writes never knows what arrived: a server that dies takes along what the
two kernels had buffered. Therefore a delivery is one connection: all lines, then our end of it is closed, and the
delivery counts when the server, having read to that end, closes its own. Over TLS that end is signed: RFC 5425 4.4
demands the receiver's close_notify. A server that is killed resets the connection instead, and all comes again.
UDP has no such end; what was sent counts.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from case_store.sinks.address import Address
from case_store.sinks.contract import WITHIN, Deadline, Line, SinkDown
from case_store.sinks.messages import datagram, framed, message

_PIECE: Final = 256 * 1024
_BETWEEN_DATAGRAMS: Final = 0.0005  # seconds; a receiver's buffer holds a few hundred


class SyslogSink:
    """Sends lines to one syslog server."""

    def __init__(self, address: Address, within: float = WITHIN) -> None:
        self._address, self._within = address, within
        self._host = socket.gethostname()

    def deliver(self, lines: Sequence[Line]) -> None:
        """Send the lines and wait until the server has read them, where it can be known."""
        where = f"{self._address.target}:{self._address.port}"
        try:
            if self._address.kind == "syslog+udp":
                self._send_datagrams(lines)
            else:
                content = b"".join(framed(message(line, self._host)) for line in lines)
                self._send_stream(content, Deadline(self._within))
        except ssl.SSLCertVerificationError as error:
            raise SinkDown(
                f"{where}: its certificate is not trusted: {error.verify_message}",
                next_step="name the certificates to trust with ?ca=FILE, and the server as its certificate does",
            ) from error
        except (OSError, UnicodeError) as error:
            raise SinkDown(f"{where}: {_reason(error)}") from error

    def _send_stream(self, content: bytes, deadline: Deadline) -> None:
        address = (self._address.target, self._address.port)
        with closing(socket.create_connection(address, timeout=deadline.left())) as plain:
            if self._address.kind == "syslog+tcp":
                _send(plain, content, deadline)
                plain.shutdown(socket.SHUT_WR)
                _read_to_the_end(plain, deadline)
                return
            plain.settimeout(deadline.left())
            with closing(self._trust().wrap_socket(plain, server_hostname=self._address.target)) as secure:
                _send(secure, content, deadline)
                secure.settimeout(deadline.left())
                secure.unwrap()  # sends close_notify and waits for the server's

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._address.ca)
        except (OSError, ssl.SSLError) as error:
            raise SinkDown(
                f"the certificates to trust cannot be read from {self._address.ca}: {_reason(error)}",
                next_step="name a readable PEM file with ?ca=FILE, or none to trust the system's",
            ) from error

    def _send_datagrams(self, lines: Sequence[Line]) -> None:
        found = socket.getaddrinfo(self._address.target, self._address.port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        deadline = Deadline(self._within)
        with closing(socket.socket(family, kind, protocol)) as out:
            out.connect(address)  # so that "nobody listens here" comes back, where it does
            for line in lines:
                out.settimeout(deadline.left())
                out.send(datagram(line, self._host))
                time.sleep(_BETWEEN_DATAGRAMS)
            if code := out.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, "the last message was refused")


def _send(out: socket.socket, content: bytes, deadline: Deadline) -> None:
    rest = memoryview(content)
    while rest:
        out.settimeout(deadline.left())
        rest = rest[out.send(rest[:_PIECE]) :]


def _read_to_the_end(connection: socket.socket, deadline: Deadline) -> None:
    while True:
        connection.settimeout(deadline.left())
        if not connection.recv(4096):
            return


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "it closed the connection before it had confirmed that it read to the end"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or type(error).__name__}"
    if isinstance(error, TimeoutError):
        return "it did not take the lines in time"
    text = error.strerror if isinstance(error, OSError) else str(error)
    return text or "it closed the connection before it had confirmed that it read to the end"
