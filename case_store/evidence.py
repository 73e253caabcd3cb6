"""Bytes on record. The bytes are kept first, then the row that speaks of them; none is ever refused for its type."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Final

import puremagic

from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.blobs import Blobs, Content, Stored
from case_store.models import Alert, Case, Evidence, Task
from case_store.store import Tx
from case_store.texts import one_line

MAX_NAME: Final = 255
_UNKNOWN: Final = "application/octet-stream"
_SNIFFED_TEXT: Final = 64 * 1024


async def attach(  # noqa: PLR0913 - what is attached, where to, by whom and when; all but three are named
    tx: Tx,
    case: Case | None,
    blobs: Blobs,
    *,
    name: str,
    content: Content | Stored,
    claimed_type: str | None = None,
    task: Task | None = None,
    alert: Alert | None = None,
    by: Actor,
    at: datetime,
) -> Evidence:
    """Attach bytes to a case, or to an alert that has no case yet.

    Args:
        tx: The transaction.
        case: The case; None for an alert that waits for one.
        blobs: Where the bytes are kept.
        name: What the sender calls them; only ever shown.
        content: The bytes, a file, a stream; or what `Blobs.put` gave, so that nobody waits while much is written.
        claimed_type: The media type the sender names, if any.
        task: The task they belong to.
        alert: The alert they belong to.
        by: Who attaches them.
        at: Now.

    Raises:
        TooLarge: There are too many of them.
    """
    stored = content if isinstance(content, Stored) else await blobs.put(content)
    shown = kept_name(name)
    claimed = one_line(claimed_type)[:MAX_NAME] if claimed_type else None
    evidence = Evidence(
        case_id=case.id if case else None,
        name=shown,
        sha256=stored.sha256,
        size=stored.size,
        media_type=await asyncio.to_thread(sniff, stored.path),
        claimed_type=claimed or None,
        task_id=task.id if task else None,
        alert_id=alert.id if alert else None,
        added_at=at,
        added_by=str(by),
    )
    tx.session.add(evidence)
    facts: dict[str, object] = {}
    if shown != name:
        facts["name_as_given"] = personal(evidence, ascii(name[: 4 * MAX_NAME]))
    if claimed and claimed.partition(";")[0].strip().lower() != evidence.media_type:
        facts["type_differs_from_claim"] = True
    tx.record("evidence.attached", evidence, by=by, at=at, case=case, facts=facts)
    await tx.flush()
    return evidence


def kept_name(name: str) -> str:
    """Return a name as it is kept: one printable line, cut in the middle so that beginning and ending stay."""
    line = one_line(name)
    if len(line) > MAX_NAME:
        line = f"{line[: MAX_NAME // 2 - 1]}…{line[-MAX_NAME // 2 :]}"
    return line or "unnamed"


def sniff(path: Path) -> str:
    """Return the media type that the bytes themselves suggest."""
    try:
        found = puremagic.magic_file(path)
    except (puremagic.PureError, ValueError):  # nothing recognised; an empty file
        found = []
    named = next((one.mime_type for one in found if one.mime_type), None)
    return named or _text_or_unknown(path)


def _text_or_unknown(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_SNIFFED_TEXT)
    if b"\0" in head:
        return _UNKNOWN
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else only the last character was cut
            return _UNKNOWN
    return "text/plain"
