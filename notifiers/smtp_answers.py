"""What an SMTP failure means for the letter: by reply code and by how far the conversation had come (RFC 5321)."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from enum import Enum

from aiosmtplib import SMTPException, SMTPResponseException

from notifiers.cleaning import one_line
from notifiers.contract import Outcome

_PERMANENT = range(500, 600)
_TEMPORARY = range(400, 500)
# Enhanced codes (RFC 3463, RFC 7505) that say: there is no such mailbox, no such domain, or it takes no mail at all.
_NOBODY = re.compile(r"\b5\.1\.(?:1|2|3|6|10)\b")


class Step(Enum):
    """How far the conversation with the mail server has come."""

    QUEUE = "waiting for a free connection"
    CONNECT = "connecting to the mail server"
    ENCRYPT = "agreeing on encryption"
    LOGIN = "logging in"
    SENDER = "naming the sender"
    RECIPIENT = "naming the recipient"
    CONTENT = "announcing the letter"
    RECEIPT = "waiting for the receipt"

    @property
    def about_the_channel(self) -> bool:
        """True while the person and the letter are not yet in play: what fails here fails for everybody."""
        return self not in {Step.RECIPIENT, Step.CONTENT, Step.RECEIPT}


def outcome_of(failure: Exception, step: Step) -> Outcome:
    """Judge a failure, by code and step: a wrong password and a broken password check raise the same class."""
    if isinstance(failure, SMTPResponseException):
        return _of_code(failure.code, failure.message, step)
    words = f"{step.value}: {one_line(str(failure), 200) or type(failure).__name__}"
    if step is Step.RECEIPT:
        return Outcome.unknown(f"the letter was handed over and no receipt came ({words})")
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(failure)):
        return Outcome.permanent(f"the mail server's certificate is not trusted ({words})", channel_fault=True)
    if isinstance(failure, SMTPException) and not isinstance(failure, OSError):
        # No reply and no broken line: the server lacks what our settings demand, STARTTLS or AUTH.
        return Outcome.permanent(words, channel_fault=True)
    return Outcome.temporary(words)


def _of_code(code: int, message: str, step: Step) -> Outcome:
    words = f"{step.value}: {code} {one_line(message, 200)}"
    if code in _PERMANENT:
        nobody = not step.about_the_channel and _NOBODY.search(message) is not None
        return Outcome.permanent(words, channel_fault=step.about_the_channel, bad_address=nobody)
    if code in _TEMPORARY or step is not Step.RECEIPT:
        return Outcome.temporary(words)
    return Outcome.unknown(f"the receipt makes no sense ({words})")


def _causes(failure: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = failure
    while cause is not None:
        yield cause
        cause = cause.__cause__
