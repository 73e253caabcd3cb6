"""A message as an e-mail letter: headers and body as they go over the wire (RFC 5322)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from notifiers.addresses import mailbox
from notifiers.cleaning import lines, one_line
from notifiers.contract import Message, Outcome
from notifiers.errors import AddressMissing, AddressRefused, NotifierError, SettingsRefused
from notifiers.settings import EmailConfig

# Bodies travel as 7-bit text, so they arrive whole at servers that know no 8BITMIME.
_WIRE = SMTP.clone(cte_type="7bit")


@dataclass(frozen=True, slots=True)
class Letter:
    """What the mail server is told: envelope and content; `sender` is where it tells what it could not deliver."""

    sender: str
    recipient: str
    message_id: str
    content: bytes


def compose(message: Message, config: EmailConfig, date: datetime) -> Letter:
    """Write the letter. All that is not ours to choose is made one clean line before it becomes a header.

    Raises:
        AddressMissing: The person has no e-mail address.
        AddressRefused: It is none that a letter can be sent to.
        SettingsRefused: The mailbox for answers or bounces is none.
    """
    if message.to.email is None:
        raise AddressMissing(f"no e-mail address of {one_line(message.to.name, 80)} is on record")
    recipient, sender = mailbox(message.to.email), mailbox(config.sender)
    bounces = sender if message.bounce_to is None else _ours(message.bounce_to)
    topic, domain = _topic(message), config.domain
    thread = f"<{topic}@{domain}>"
    letter = EmailMessage(policy=_WIRE)
    letter["From"] = Address(_header(config.sender_name, 100), addr_spec=sender)
    letter["To"] = Address(_header(message.to.name, 100), addr_spec=recipient)
    if message.reply_to is not None:
        letter["Reply-To"] = Address(addr_spec=_ours(message.reply_to))
    letter["Subject"] = _header(message.subject, 250)
    letter["Date"] = format_datetime(date)
    letter["Message-ID"] = message_id(message, domain)
    letter["In-Reply-To"] = thread
    letter["References"] = thread
    letter["List-Id"] = f"{topic.upper()} <{topic}.{domain}>"
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: keeps holiday notices from answering
    letter["X-Auto-Response-Suppress"] = "All"  # the same for Exchange
    letter.set_content(lines(message.text))
    if message.html is not None:
        letter.add_alternative(lines(message.html), subtype="html")
    for one in message.attachments:
        # Not as text: that would arrive with other line ends, and a signed text would not verify.
        letter.add_attachment(
            one.text.encode(), maintype="application", subtype="octet-stream", filename=_header(one.name, 100)
        )
    return Letter(bounces, recipient, letter["Message-ID"], letter.as_bytes())


def not_written(reason: NotifierError) -> Outcome:
    """Judge why a letter could not be written: the person's address, or a mailbox of ours."""
    if isinstance(reason, SettingsRefused):
        return Outcome.permanent(str(reason), channel_fault=True)
    return Outcome.permanent(str(reason), bad_address=not isinstance(reason, AddressMissing))


def _header(text: str, limit: int) -> str:
    """Make text from elsewhere fit for a header.

    Python decodes an encoded word in what it is given, and `=?utf-8?q?x=0D=0ABcc:...?=` becomes a line break and a
    header of its own on the wire. Parted, the mark means nothing.
    """
    return one_line(text, limit).replace("=?", "= ?")


def message_id(message: Message, domain: str) -> str:
    """Give the Message-ID of a promise: the same on every try, so that mailboxes can tell a repeat."""
    name = hashlib.sha256(message.dedup_key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"<{_topic(message)}.{name}@{domain}>"


def _ours(address: str) -> str:
    try:
        return mailbox(address)
    except AddressRefused as reason:
        raise SettingsRefused(f"e-mail: the mailbox for answers or bounces: {reason}") from reason


def _topic(message: Message) -> str:
    return "record" if message.case_number is None else f"case-{message.case_number}"
