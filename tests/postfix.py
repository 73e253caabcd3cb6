"""A real Postfix on loopback, of a test's own: it demands STARTTLS and a login, and hands all mail to a sink.

Nothing outside its folder is touched. Passwords are checked by a stand-in for Dovecot's authentication service, so no
account of the system is needed; the SMTP side of the login is Postfix's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
from asyncio import to_thread
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import cast

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.ports import free_port
from tests.sasl import LoginService

HOW_TO_GET_IT = "install it (Debian: apt-get install postfix; it need not run), and run the tests as root"
USER, PASSWORD = "casewright", "made-up, and 32 bytes of it are long"

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mail.corp.example
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = {folder}/server.pem
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{login_port}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
relayhost = [127.0.0.1]:{sink_port}
smtp_tls_security_level = none
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
"""

# Written whole: lines left over from a distribution's file would attach to other services.
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class PostfixMissing(Exception):
    """Postfix is not installed, or we may not start it."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One letter that came out of Postfix's other end."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def letter(self) -> EmailMessage:
        """The letter, parsed."""
        return cast("EmailMessage", message_from_bytes(self.content, policy=default))


class Sink:
    """Where Postfix hands all mail on to; runs in a thread of its own."""

    def __init__(self) -> None:
        self.delivered: list[Delivered] = []
        self._news = threading.Condition()
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())

    @property
    def port(self) -> int:
        """Port it listens on."""
        return int(self._controller.port)

    def start(self) -> None:
        """Listen."""
        self._controller.start()

    def stop(self) -> None:
        """Listen no more."""
        self._controller.stop()

    def wait_for(self, enough: Callable[[list[Delivered]], bool], seconds: float = 60) -> list[Delivered]:
        """Wait until what was delivered is enough, and give it.

        Raises:
            AssertionError: It was not within these seconds.
        """
        with self._news:
            met = self._news.wait_for(lambda: enough(self.delivered), seconds)
            assert met, f"only {len(self.delivered)} letters within {seconds} s"
            return list(self.delivered)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the letter; aiosmtpd calls it by this name."""
        content = cast("bytes", envelope.content)
        with self._news:
            self.delivered.append(Delivered(envelope.mail_from or "", tuple(envelope.rcpt_tos), content))
            self._news.notify_all()
        return "250 2.0.0 kept"


class Postfix:
    """A server that is set up, and runs between `start` and `stop`.

    Attributes:
        port: Port it takes mail at, from whoever upgrades to TLS and logs in as `USER` with `PASSWORD`.
        ca_file: The certificate to trust.
        sink: Where its mail comes out.
        logins: What the login service was asked; see `tests/sasl.py`.
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        if shutil.which("postfix") is None or os.geteuid() != 0:
            raise PostfixMissing("No Postfix, or no right to start one: the mail server's own test needs both")
        self.port, self.sink, self.logins = free_port(), Sink(), LoginService({USER: PASSWORD})
        self._folder, self.ca_file = folder, folder / "ca.pem"
        self._certificates()
        for name in ("spool", "data", "config"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix")
        folder.chmod(0o755)
        places = {"folder": folder, "login_port": self.logins.port, "sink_port": self.sink.port, "port": self.port}
        (folder / "config" / "main.cf").write_text(_MAIN.format_map(places))
        (folder / "config" / "master.cf").write_text(_MASTER.format_map(places))

    @property
    def environment(self) -> dict[str, str]:
        """The settings with which Casewright sends its mail here."""
        return {
            "CASEWRIGHT_SMTP_HOST": self.host,
            "CASEWRIGHT_SMTP_PORT": str(self.port),
            "CASEWRIGHT_SMTP_SECURITY": "starttls",
            "CASEWRIGHT_SMTP_USER": USER,
            "CASEWRIGHT_SMTP_PASSWORD": PASSWORD,
            "CASEWRIGHT_SMTP_CA_FILE": str(self.ca_file),
            "CASEWRIGHT_SMTP_FROM": "Casewright <soc@corp.example>",
        }

    def start(self) -> None:
        """Start it; it takes mail when this returns."""
        self._postfix("start")

    def stop(self) -> None:
        """Stop it, with every connection to it. What it took and did not deliver stays in its queue."""
        self._postfix("stop")

    async def delivered(self, count: int, seconds: float = 60) -> list[Delivered]:
        """Wait until `count` letters came out, and give them."""
        return await to_thread(self.sink.wait_for, lambda got: len(got) >= count, seconds)

    def log(self) -> str:
        """Return what it logged."""
        file = self._folder / "mail.log"
        return file.read_text() if file.exists() else ""

    def _postfix(self, command: str) -> None:
        words = ["postfix", "-c", str(self._folder / "config"), command]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, f"postfix {command}: {done.stdout}{done.stderr}{self.log()[-2000:]}"

    def _certificates(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
            self._folder / "server.pem"
        )


@contextlib.contextmanager
def own_postfix() -> Iterator[Postfix]:
    """Yield a Postfix that runs; stop it and take its folder away afterwards.

    Raises:
        PostfixMissing: It is not installed, or we may not start it.
    """
    folder = Path(tempfile.mkdtemp(prefix="casewright-postfix-"))
    try:
        server = Postfix(folder)
        with contextlib.ExitStack() as stack:
            for part in (server.logins, server.sink):
                part.start()
                stack.callback(part.stop)
            server.start()
            stack.callback(_stopped, server)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stopped(server: Postfix) -> None:
    with contextlib.suppress(AssertionError):  # a test may have stopped it
        server.stop()
