"""The action `email.parse`."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

from flows.actions import parameters
from flows.actions.contract import ActionContext, ActionFailed, Attachment, EvidenceFacts, Result, action
from flows.actions.extraction import search
from flows.actions.messages import Message, Part, addresses, decoded_header, looks_like_message, read_message

MAX_ATTACHED: Final = 100

_LARGEST: Final = 64 * 1024 * 1024
_IN_FIELDS: Final = 50
_LONGEST: Final = 500
_OUTLOOK: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_CHECKS: Final = ("spf", "dkim", "dmarc")


@action(name="email.parse", idempotent=True, title="Read an e-mail message")
async def parse(context: ActionContext, evidence: str, reported: bool = False) -> Result:
    """Read a message: who it says it is from, how its servers judged it, and what it carries.

    Fields: `subject`, `sender`, `sender_name`, `sender_domain`, `reply_to`, `return_path`, `to` and `cc` (lists),
    `date` (in UTC), `message_id`, `authentication_results` (a list), `spf`, `dkim` and `dmarc` (as the topmost of these
    says), `urls` (how many), `attachments` (names), `messages` (how many messages are attached). Every attached file
    becomes evidence; archives are kept as they are.

    Args:
        context: The context.
        evidence: Id or name of the message, as a file (.eml).
        reported: Read the message that is attached to this one, if there is exactly one: people report phishing by
            forwarding it as an attachment.
    """
    facts = await parameters.evidence(context, evidence)
    content = await context.read(facts.id, _LARGEST)
    return await asyncio.to_thread(_parsed, facts, content, reported=reported is True)


def _parsed(facts: EvidenceFacts, content: bytes, *, reported: bool) -> Result:
    message = _read(facts, content)
    inner = [part for part in message.parts if part.media_type == "message/rfc822"]
    if reported and len(inner) == 1:
        message = _read(facts, inner[0].content)
    files = [part for part in message.parts if part.attached and part.content]
    found = search((part.text().encode(errors="replace"), "", _hint(part)) for part in message.parts if part.is_text)
    links = [item for item in found.items if item[0] == "url"]
    notes = []
    if len(files) > MAX_ATTACHED or message.cut:
        notes.append(
            f"The message has more than {MAX_ATTACHED} attachments; only the first ones were kept as evidence."
        )
    return Result(
        fields=_fields(message, files, len(links)),
        evidence=[Attachment(part.name or "unnamed", part.content, part.media_type) for part in files[:MAX_ATTACHED]],
        observables=list(dict.fromkeys([*_of_headers(message), *links, *_hashes(files)])),
        notes=notes,
    )


def _read(facts: EvidenceFacts, content: bytes) -> Message:
    step = f"attach the original message as a file (.eml) to the case, and let the SOP name it instead of {facts.id}"
    if content.startswith(_OUTLOOK):
        raise ActionFailed("this is a message in Outlook's own format", next_step=f"save it as .eml; {step}")
    if facts.media_type != "message/rfc822" and not looks_like_message(content):
        what = "JSON" if content.lstrip()[:1] in {b"{", b"["} else facts.media_type
        raise ActionFailed(f"evidence {facts.id} is {what}, not an e-mail message", next_step=step)
    try:
        return read_message(content)
    except ValueError as error:
        raise ActionFailed(f"evidence {facts.id} cannot be read: {error}", next_step=step) from error


def _fields(message: Message, files: Sequence[Part], links: int) -> Mapping[str, Any]:
    sender = _first(message.addresses("from"))
    results = [one[:_LONGEST] for one in message.all("authentication-results")]
    return {
        "subject": message.header("subject")[:_LONGEST],
        "sender": sender,
        "sender_name": _name(message),
        "sender_domain": sender.rpartition("@")[2],
        "reply_to": _first(message.addresses("reply-to")),
        "return_path": _first(message.addresses("return-path")),
        "to": message.addresses("to")[:_IN_FIELDS],
        "cc": message.addresses("cc")[:_IN_FIELDS],
        "date": _date(message.header("date")),
        "message_id": message.header("message-id")[:_LONGEST],
        "authentication_results": results[:10],
        **{check: _verdict(check, results) for check in _CHECKS},
        "urls": links,
        "attachments": [(part.name or "unnamed")[:_LONGEST] for part in files[:_IN_FIELDS]],
        "messages": sum(part.media_type == "message/rfc822" for part in files),
    }


def _of_headers(message: Message) -> list[tuple[str, str]]:
    """Return who wrote, and the addresses that an answer or a bounce would go to; the recipients are our own people."""
    found: list[tuple[str, str]] = [("sender", one) for one in message.addresses("from")[:1]]
    for header in ("from", "sender", "reply-to", "return-path"):
        for one in message.addresses(header)[:_IN_FIELDS]:
            found += [("email", one), ("domain", one.rpartition("@")[2])]
    return found


def _hashes(files: Sequence[Part]) -> list[tuple[str, str]]:
    return [("sha256", hashlib.sha256(part.content).hexdigest()) for part in files[:MAX_ATTACHED]]


def _hint(part: Part) -> str:
    return "text/html" if part.subtype == "html" else "text/plain"


def _first(found: Sequence[str]) -> str:
    return found[0] if found else ""


def _name(message: Message) -> str:
    """Return the name that stands before the sender's address: what mail programs show, and what deceives people."""
    shown = message.header("from").rpartition("<")[0] or message.header("from")
    return "" if addresses(shown) == message.addresses("from")[:1] else shown.strip(' "')[:_LONGEST]


def _date(value: str) -> str:
    try:
        found = parsedate_to_datetime(decoded_header(value))
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC).isoformat()
    except (TypeError, ValueError, IndexError, OverflowError):
        return ""


def _verdict(check: str, results: Sequence[str]) -> str:
    """Return what the first header says: our own server writes above whatever came with the message."""
    found = re.search(rf"(?:^|[;\s]){check}\s*=\s*(\w+)", results[0], re.IGNORECASE) if results else None
    return found[1].lower() if found else "none"
