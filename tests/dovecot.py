"""A real Dovecot on loopback, of a test's own: IMAP over TLS, one mailbox. Nothing outside its folder is touched."""

from __future__ import annotations

import contextlib
import imaplib
import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import trustme

from tests.ports import free_port

HOW_TO_GET_IT = "install it (Debian: apt-get install dovecot-imapd; it need not run), and run the tests as root"
USER, PASSWORD = "replies", "made-up-and-not-short-either"

_CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.pem
mail_location = maildir:{folder}/mail
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
passdb {{
  driver = static
  args = user={user} password={password}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class DovecotMissing(Exception):
    """Dovecot is not installed, or we may not start it."""


class Dovecot:
    """A server that is set up, and runs between `start` and `stop`.

    Attributes:
        port: Port that is encrypted from the beginning.
        plain_port: Port at which a client has to upgrade.
        ca_file: The certificate to trust.
    """

    host = "localhost"

    def __init__(self, folder: Path) -> None:
        if shutil.which("dovecot") is None or os.geteuid() != 0:
            raise DovecotMissing("No Dovecot, or no right to start one: the mailbox's own test needs both")
        self.port, self.plain_port, self._folder = free_port(), free_port(), folder
        self.ca_file = folder / "ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
            folder / "server.pem"
        )
        folder.chmod(0o755)
        for name in ("mail", "mail/new", "mail/cur", "mail/tmp", "state", "run"):
            (folder / name).mkdir()
            if name.startswith("mail"):
                shutil.chown(folder / name, "nobody", "nogroup")
        places = {"folder": folder, "port": self.port, "plain_port": self.plain_port}
        (folder / "dovecot.conf").write_text(_CONFIG.format(**places, user=USER, password=PASSWORD))

    @property
    def environment(self) -> dict[str, str]:
        """The settings with which Casewright reads its mailbox."""
        return {
            "CASEWRIGHT_IMAP_HOST": self.host,
            "CASEWRIGHT_IMAP_PORT": str(self.port),
            "CASEWRIGHT_IMAP_USER": USER,
            "CASEWRIGHT_IMAP_PASSWORD": PASSWORD,
            "CASEWRIGHT_IMAP_CA_FILE": str(self.ca_file),
        }

    def start(self) -> None:
        """Start it; it answers when this returns."""
        self._run("dovecot", "-c", str(self._config))

    def stop(self) -> None:
        """Stop it, with every connection to it."""
        with contextlib.suppress(AssertionError):  # it says so when there is none
            self.hang_up()
        self._run("doveadm", "-c", str(self._config), "stop")

    def hang_up(self) -> None:
        """End every connection to it, without a word."""
        self._run("doveadm", "-c", str(self._config), "kick", USER)

    def deliver(self, content: bytes) -> None:
        """Put a mail into the mailbox, as a mail server does."""
        with self.mailbox() as mailbox:
            done, told = mailbox.append("INBOX", "", "", content)
            assert done == "OK", told

    def flags(self) -> list[tuple[str, ...]]:
        """Return the flags of each mail."""
        with self.mailbox() as mailbox:
            mailbox.select("INBOX", readonly=True)
            _, told = mailbox.fetch("1:*", "(FLAGS)")
            answers = [one for one in told if isinstance(one, bytes)]
            return [tuple(flag.decode() for flag in imaplib.ParseFlags(one)) for one in answers]

    def number_anew(self) -> None:
        """Have the folder number its mails anew, as after a restored backup."""
        for file in (self._folder / "mail").glob("dovecot.index*"):
            file.unlink()
        listed = self._folder / "mail" / "dovecot-uidlist"
        version, numbering, rest = listed.read_text().split(" ", 2)
        owner = listed.stat()
        listed.write_text(f"{version} V{int(numbering[1:]) + 1} {rest}")
        os.chown(listed, owner.st_uid, owner.st_gid)

    @contextlib.contextmanager
    def mailbox(self) -> Iterator[imaplib.IMAP4_SSL]:
        """Log in as somebody's mail program does."""
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        with imaplib.IMAP4_SSL("localhost", self.port, ssl_context=trust, timeout=20) as mailbox:
            mailbox.login(USER, PASSWORD)
            yield mailbox

    def log(self) -> str:
        """Return what it logged."""
        file = self._folder / "dovecot.log"
        return file.read_text() if file.exists() else ""

    @property
    def _config(self) -> Path:
        return self._folder / "dovecot.conf"

    def _run(self, *words: str) -> None:
        # Not by pipes: the server would keep them open.
        said = self._folder / "said.log"
        with said.open("w") as out:
            done = subprocess.run(words, stdout=out, stderr=out, check=False, timeout=30)
        assert done.returncode == 0, f"{words}: {said.read_text()}{self.log()[-2000:]}"


@contextlib.contextmanager
def own_dovecot() -> Iterator[Dovecot]:
    """Yield a Dovecot that runs; stop it and take its folder away afterwards.

    Raises:
        DovecotMissing: It is not installed, or we may not start it.
    """
    folder = Path(tempfile.mkdtemp(prefix="casewright-dovecot-"))
    try:
        server = Dovecot(folder)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(AssertionError):  # a test may have stopped it
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
