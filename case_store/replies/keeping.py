"""A mail as it came becomes evidence of its case."""

from __future__ import annotations

from datetime import datetime

from case_store import evidence
from case_store.actor import Actor
from case_store.blobs import Blobs
from case_store.models import Case, Evidence, Task
from case_store.replies.letters import Letter
from case_store.store import Tx


async def keep(
    tx: Tx, blobs: Blobs, letter: Letter, case: Case, task: Task | None, what: str, *, by: Actor, at: datetime
) -> Evidence:
    """Attach the bytes of a mail to its case; `what` they are begins the name of the file."""
    name = f"{what}-{at:%Y%m%dT%H%M%SZ}-{letter.sha256[:8]}.eml"
    return await evidence.attach(
        tx,
        case,
        blobs,
        name=name,
        content=letter.raw or b"",
        claimed_type="message/rfc822",
        task=task,
        by=by,
        at=at,
    )
