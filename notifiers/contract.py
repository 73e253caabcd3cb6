"""What every way to reach a person promises to whoever sends through it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol, runtime_checkable

OutcomeKind = Literal["ok", "permanent", "temporary", "unknown"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try. Made by `ok`, `permanent`, `temporary` and `unknown`.

    Attributes:
        kind: `ok` the provider took it; `permanent` it will never take it; `temporary` it may take it later;
            `unknown` it may have taken it, and sending again may reach the person twice.
        reason: One clean line for a person: what the provider said, or what went wrong. Never a secret.
        provider_ref: The name by which the provider's side can find the message again; set when `ok`,
            and when `unknown` if it is our own.
        retry_after: The least time to wait that the provider asked for; None when it named none.
        channel_fault: True when nobody can be reached by this channel until an administrator acts (wrong password,
            untrusted certificate). The message itself is not at fault.
        opted_out: True when the person told the provider to send nothing more by this channel.
        bad_address: True when the provider says that the address reaches nobody. A mistyped address of ours, found
            before the provider is asked, counts too.
    """

    kind: OutcomeKind
    reason: str
    provider_ref: str | None = None
    retry_after: timedelta | None = None
    channel_fault: bool = False
    opted_out: bool = False
    bad_address: bool = False

    @classmethod
    def ok(cls, provider_ref: str, reason: str = "accepted") -> Outcome:
        """Say that the provider has taken responsibility for the message."""
        return cls("ok", reason, provider_ref=provider_ref)

    @classmethod
    def permanent(
        cls, reason: str, *, channel_fault: bool = False, opted_out: bool = False, bad_address: bool = False
    ) -> Outcome:
        """Say that trying the same message again is pointless."""
        return cls("permanent", reason, channel_fault=channel_fault, opted_out=opted_out, bad_address=bad_address)

    @classmethod
    def temporary(cls, reason: str, retry_after: timedelta | None = None) -> Outcome:
        """Say that the message surely did not go, and may go later."""
        return cls("temporary", reason, retry_after=retry_after)

    @classmethod
    def unknown(cls, reason: str, provider_ref: str | None = None) -> Outcome:
        """Say that the message may have gone: the answer was lost on the way back.

        Args:
            reason: What went wrong.
            provider_ref: By what the provider's side would know it, where that is known without an answer.
        """
        return cls("unknown", reason, provider_ref=provider_ref)


@dataclass(frozen=True, slots=True)
class Found:
    """The provider has a message that may have gone: it is not sent again.

    Attributes:
        provider_ref: The provider's name for it.
        status: How far it has come, in the words of the provider's receipts: `queued`, `delivered`, `undelivered`.
        code: The provider's code for why it was not delivered; None without one.
    """

    provider_ref: str
    status: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class NotAsked:
    """The provider could not be asked. That says nothing about the message, and nothing about the channel.

    Attributes:
        reason: One clean line for a person. Never a secret.
        retry_after: The least time to wait that the provider asked for; None when it named none.
    """

    reason: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """The person to reach. None means that no such address is on record."""

    name: str
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of text that goes along where the channel can carry one."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one person, whatever the channel.

    Attributes:
        to: Whom to reach.
        subject: One line, for channels that have one.
        text: The message as plain text.
        html: The same as HTML, already escaped; None when there is only text.
        sms_text: The same in one short line.
        case_number: Number of the case it is about; messages of one case form one thread. None for what is about
            the record as a whole, which is a thread of its own.
        dedup_key: Name of this promise. The same on every try, so that the provider's side can tell a repeat.
        attachments: Files that go along.
        reply_to: Mailbox that answers go to; None for the sender's own. Only e-mail has one.
        bounce_to: Mailbox that a mail server tells about a letter it cannot deliver (the envelope's sender), named so
            that it tells which letter; None for the sender's own. Only e-mail has one.
        link: Where to go from here, for channels that show it apart from the text; None for nowhere.
        useful_for: How long the message says something new; a provider that can throws it away afterwards. None for
            as long as the provider likes.
        receipt_name: Names this try in what the provider tells of it later, where it can be given a name; None for
            no name. Letters, digits, `-` and `.`.
    """

    to: Recipient
    subject: str
    text: str
    html: str | None
    sms_text: str
    case_number: int | None
    dedup_key: str
    attachments: tuple[Attachment, ...] = ()
    reply_to: str | None = None
    bounce_to: str | None = None
    useful_for: timedelta | None = None
    link: str | None = None
    receipt_name: str | None = None

    @property
    def marker(self) -> str:
        """What ends a text, such as `[C42-7F3A]`: by it the text is found again, and a person names it in an answer.

        The digits come from `dedup_key`: the same on every try. Two messages of one case share them once in 65,536.
        """
        about = "R" if self.case_number is None else f"C{self.case_number}"
        digits = hashlib.sha256(self.dedup_key.encode("utf-8", "surrogatepass")).hexdigest()[:4].upper()
        return f"[{about}-{digits}]"


LastStep = Callable[[], Awaitable[None]]
"""Is awaited when a message is all but handed over: until it returns, the message surely has not gone."""


class Notifier(Protocol):
    """A way to reach a person, or a room or service that people watch.

    It tries once: no retries, no queue, no memory of what it sent.
    """

    @property
    def channel(self) -> str:
        """Name of the channel, as promises name it: `email`, `sms`."""
        ...

    @property
    def deadline(self) -> timedelta:
        """Time within which `send` and `find` have returned, whatever the provider does. A lease must outlast it."""
        ...

    @property
    def can_find(self) -> bool:
        """Whether the provider can be asked if it has a message; if not, `find` is never called.

        Ask before every try but the first, and after `unknown`.
        """
        ...

    async def send(self, message: Message) -> Outcome:
        """Try once to hand the message to the provider.

        Whatever the provider, the network or the address does wrong becomes an outcome; nothing is raised for it.
        A cancelled send is in doubt just like `unknown`.
        """
        ...

    async def find(self, message: Message, since: datetime) -> Found | NotAsked | None:
        """Ask the provider whether it has a message that was tried before. Nothing is sent.

        Args:
            message: As it was given to `send`; its words and its link do not matter.
            since: When it was tried first, or earlier; with a time zone.

        Returns:
            What the provider says about it; that it could not be asked; or None: it does not have it (a provider may
            take a minute to show what it took).
        """
        ...

    async def close(self) -> None:
        """Let go of what the notifier holds. May be called twice."""
        ...


@runtime_checkable
class CarriesSeveral(Notifier, Protocol):
    """A notifier whose provider is handed several messages at once.

    Attributes:
        at_once: How many.
    """

    @property
    def at_once(self) -> int:
        """How many messages it hands over at the same time."""
        ...

    async def send_in_step(self, message: Message, last_step: LastStep) -> Outcome:
        """Do as `send` does, and wait before the step that cannot be taken back.

        Args:
            message: The message.
            last_step: Awaited at most once. Whoever sends lets one message after the other take the step, so that
                it knows of all but one whether they went, also if it dies.
        """
        ...


@runtime_checkable
class ClosesAlerts(Notifier, Protocol):
    """A notifier whose provider keeps an alert open, and calls people, until it is told to close it."""

    async def close_alert(self, message: Message) -> Outcome:
        """Have the provider close the alert of a message. One that it does not have, or that is closed, is no error.

        Args:
            message: As it was given to `send`; its words do not matter.
        """
        ...
