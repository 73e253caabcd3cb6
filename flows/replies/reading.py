"""Reads the bytes of a mail that came back. Whatever is in them, it gives a letter: what cannot be read says so."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from case_store.replies import Addresses, Letter, Report, Said, read_reply
from case_store.replies.outcomes import MAIL, key_of
from flows.actions.messages import Message, read_message
from flows.replies.delivery_status import report_of
from flows.replies.wording import wording

LARGEST: Final = 25 * 1024 * 1024
"""Bytes of a mail that is taken; of a larger one the beginning is read, to tell whose it is."""
BEGINNING: Final = 64 * 1024

_MESSAGE_ID: Final = re.compile(r"<[^<>\s]{1,250}>")
_OURS: Final = re.compile(r"<(?:case-[0-9]{1,12}|record)\.[0-9a-f]{32}@[^<>\s]+>", re.ASCII)
"""The Message-IDs that we give our own letters. Not the domain alone: colleagues' programs write it as well."""
_THREAD: Final = 20
_TO: Final = ("to", "cc", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to")
_BULK: Final = frozenset({"bulk", "list", "junk", "auto_reply"})
_AUTOMATIC: Final = ("x-autoreply", "x-autorespond", "x-auto-reply-from", "x-autoresponse")
_STATUS: Final = ("delivery-status", "global-delivery-status")
_HEADER_ENDS: Final = re.compile(rb"\r?\n\r?\n")
_NOTHING: Final = Said("other", "")


def read_letter(raw: bytes, addresses: Addresses, *, whole: bool = True) -> Letter:
    """Read a mail.

    Args:
        raw: Its bytes; or the beginning of them, when it is too large.
        addresses: What tells which message of ours it was sent to.
        whole: Whether these are all bytes.
    """
    digest = hashlib.sha256(raw).hexdigest()
    try:
        message = read_message(raw)
    except ValueError:
        return Letter(key=key_of(MAIL, digest), sha256=digest, said=_NOTHING, automatic="unreadable")
    named = addresses.read(one for name in _TO for one in message.addresses(name))
    automatic = _automatic(message, addresses)
    said, more = _NOTHING, False
    if automatic is None and whole:
        words = wording(message)
        said, more = read_reply(words.text), words.more
    return Letter(
        key=key_of(MAIL, _identity(message, raw)),
        sha256=digest,
        raw=raw if whole else None,
        sender=_sender(message),
        named=named,
        thread=_thread(message),
        automatic=automatic,
        said=said,
        more=more,
        attachments=sum(part.attached and bool(part.content) for part in message.parts),
        report=_report(message),
    )


def _identity(message: Message, raw: bytes) -> str:
    """Return what stays the same however often and by whatever way a mail comes: its name and its content.

    Not its name alone: another mail could be sent under it beforehand.
    """
    name = message.header("message-id")
    same = raw if not name else _HEADER_ENDS.split(raw, maxsplit=1)[-1]
    content = same.replace(b"\r\n", b"\n").rstrip()
    return f"{name}:{hashlib.sha256(content).hexdigest()}"


def _sender(message: Message) -> str | None:
    named = message.addresses("from")
    return named[0] if len(named) == 1 and len(message.all("from")) == 1 else None


def _thread(message: Message) -> tuple[str, ...]:
    answered = _MESSAGE_ID.findall(message.header("in-reply-to"))
    before = _MESSAGE_ID.findall(message.header("references"))
    return tuple(dict.fromkeys([*answered, *reversed(before)]))[:_THREAD]


def _automatic(message: Message, addresses: Addresses) -> str | None:
    """Return why nobody wrote a mail (RFC 3834 and what came before it); None when somebody did."""
    submitted = message.header("auto-submitted").partition(";")[0].strip().lower()
    sender = _sender(message) or ""
    nobody = message.header("return-path").replace(" ", "") == "<>" or sender.startswith("mailer-daemon@")
    signs = {
        "auto_submitted": submitted not in {"", "no"} or any(message.all(name) for name in _AUTOMATIC),
        "own": bool(_OURS.fullmatch(message.header("message-id"))) or addresses.is_ours(sender),
        "list": bool(message.all("list-id") or message.all("list-post")),
        "bulk": message.header("precedence").strip().lower() in _BULK,
        "bounce": nobody or _reports(message),
    }
    return next((why for why, found in signs.items() if found), None)


def _report(message: Message) -> Report | None:
    if not _reports(message):
        return None
    status = next((part for part in message.parts if part.subtype in _STATUS), None)
    return report_of(status.content) if status else None


def _reports(message: Message) -> bool:
    return message.header("content-type").lower().startswith("multipart/report")
