"""A login service that Postfix asks about passwords, in the words of Dovecot's authentication protocol (1.1)."""

from __future__ import annotations

import os
import socketserver
import threading
from base64 import b64decode
from collections.abc import Mapping


class LoginService:
    """Knows users and their passwords; listens on loopback in a thread of its own.

    Attributes:
        asked: Each login that was asked about: the user, and whether the password was right.
    """

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self.asked: list[tuple[str, bool]] = []
        self._passwords = dict(passwords)
        service = self

        class Talk(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                service.talk(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk)
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """Port it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Listen."""
        threading.Thread(target=self._server.serve_forever, name="logins", daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def talk(self, client: socketserver.StreamRequestHandler) -> None:
        """Greet one client and answer it until it leaves."""
        greeting = ("VERSION\t1\t1", "MECH\tPLAIN\tplaintext", f"SPID\t{os.getpid()}", "CUID\t1", "COOKIE\t0", "DONE")
        client.wfile.write("".join(f"{line}\n" for line in greeting).encode())
        for line in client.rfile:
            words = line.decode().rstrip("\n").split("\t")
            if words[0] == "AUTH":
                client.wfile.write(f"{self._answer(words)}\n".encode())

    def _answer(self, words: list[str]) -> str:
        number = words[1]
        given = next(word.removeprefix("resp=") for word in words if word.startswith("resp="))
        _, user, password = b64decode(given).decode().split("\0")
        right = self._passwords.get(user) == password
        self.asked.append((user, right))
        return f"OK\t{number}\tuser={user}" if right else f"FAIL\t{number}\tuser={user}"
