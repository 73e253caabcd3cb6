"""How each channel is set up. Plain values: whoever starts the program reads them from wherever it likes."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from notifiers.addresses import mailbox, phone_number
from notifiers.errors import AddressRefused, SettingsRefused

Encryption = Literal["starttls", "implicit", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailConfig:
    """The mail server that takes our mail, and the name we send under.

    Attributes:
        host: Name of the mail server; its certificate must bear it.
        port: Usually 587 for `starttls`, 465 for `implicit`.
        encryption: `starttls` demands the upgrade, `implicit` begins encrypted, `none` is for a server on this machine.
        sender: Address the mail comes from.
        sender_name: Name shown beside it.
        username: Account at the mail server; None to send without one.
        password: Its password; None exactly when `username` is.
        ca_file: Certificates (PEM) to trust instead of the system's; None to trust the system's.
        message_domain: Right-hand side of Message-IDs, and our name in EHLO; None for the sender's domain.
        step_timeout: Seconds to wait for each answer before the letter is handed over.
        receipt_timeout: Seconds to wait for the receipt of the letter. Short waits make doubt: a server may deliver and
            answer late (RFC 5321 4.5.3.2.6 asks for ten minutes).
        deadline: Seconds for the whole try. What `receipt_timeout` leaves of it is for all that comes before, waiting
            for a free connection included.
        connections: How many connections are open at once.
        letters_each: How many letters a connection carries before it is closed.
        idle: Seconds after which a connection that nobody uses is closed.
    """

    host: str
    port: int = 587
    encryption: Encryption = "starttls"
    sender: str
    sender_name: str = "Casewright"
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    message_domain: str | None = None
    step_timeout: float = 20
    receipt_timeout: float = 120
    deadline: float = 180
    connections: int = 3
    letters_each: int = 100
    idle: float = 60

    def __post_init__(self) -> None:
        _refuse_odd_host("e-mail", self.host)
        if not 0 < self.port <= 65535:  # noqa: PLR2004 - the highest port there is
            raise SettingsRefused(f"e-mail: port {self.port} does not exist")
        if self.encryption not in {"starttls", "implicit", "none"}:
            raise SettingsRefused(f"e-mail: encryption {self.encryption!r} is none of starttls, implicit, none")
        if self.encryption == "none" and not _is_this_machine(self.host):
            raise SettingsRefused(
                f"e-mail: to {self.host} nothing is sent unencrypted",
                next_step="Use starttls or implicit; none is only for a mail server on this machine.",
            )
        if (self.username is None) != (self.password is None):
            raise SettingsRefused("e-mail: a user name needs a password, and a password a user name")
        if min(self.step_timeout, self.receipt_timeout, self.idle) <= 0:
            raise SettingsRefused("e-mail: timeouts must be above zero")
        if self.step_timeout + self.receipt_timeout > self.deadline:
            raise SettingsRefused("e-mail: one step and the receipt must fit into the deadline")
        if min(self.connections, self.letters_each) < 1:
            raise SettingsRefused("e-mail: at least one connection, for at least one letter, is needed")
        try:
            mailbox(self.sender)
            _ = self.domain
        except AddressRefused as reason:
            raise SettingsRefused(f"e-mail: sender or message domain: {reason}") from reason

    @property
    def domain(self) -> str:
        """Right-hand side of our Message-IDs, in ASCII."""
        return mailbox(f"casewright@{self.message_domain or self.sender.rpartition('@')[2]}").rpartition("@")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsConfig:
    """The Twilio account that sends our texts.

    Attributes:
        account_sid: `AC` and 32 hexadecimal digits.
        auth_token: The account's token.
        messaging_service_sid: Pool of senders (`MG...`), which also keeps the opt-outs; None when `sender` is given.
        sender: Number to send from, in E.164 form; None when `messaging_service_sid` is given.
        base_url: Where the API is reached; None for Twilio itself. Encrypted unless it is on this machine.
        status_callback: Where Twilio tells what became of a text (https, reachable by Twilio); None to hear nothing.
        connect_timeout: Seconds to reach the API. Until then surely nothing was sent.
        deadline: Seconds for the whole try.
    """

    account_sid: str
    auth_token: SecretStr
    messaging_service_sid: str | None = None
    sender: str | None = None
    base_url: str | None = None
    status_callback: str | None = None
    connect_timeout: float = 5
    deadline: float = 15

    def __post_init__(self) -> None:
        if not (self.account_sid.isascii() and self.account_sid.isalnum()):
            raise SettingsRefused("SMS: the account SID is not AC and 32 hexadecimal digits")
        if (self.messaging_service_sid is None) == (self.sender is None):
            raise SettingsRefused("SMS: give either a messaging service SID or a sender number")
        if not 0 < self.connect_timeout < self.deadline:
            raise SettingsRefused("SMS: the time to connect must be above zero and shorter than the deadline")
        if self.base_url is not None:
            self._refuse_unsafe(self.base_url)
        if self.sender is not None:
            try:
                phone_number(self.sender)
            except AddressRefused as reason:
                raise SettingsRefused(f"SMS: sender: {reason}") from reason

    @staticmethod
    def _refuse_unsafe(base_url: str) -> None:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        _refuse_odd_host("SMS", host)
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(host)):
            raise SettingsRefused(
                f"SMS: to {host} nothing is sent unencrypted",
                next_step="Give an https address; http is only for an API on this machine.",
            )


def _refuse_odd_host(channel: str, host: str) -> None:
    if not host or not host.isprintable() or any(mark.isspace() for mark in host):
        raise SettingsRefused(f"{channel}: {host!r} is not the name of a host")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
