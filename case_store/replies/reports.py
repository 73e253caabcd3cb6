"""What a mail server says later about a letter that it took (a bounce) becomes the receipt of that message."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from case_store import contacts
from case_store.actor import Actor
from case_store.blobs import Blobs
from case_store.models import Case, OutboxEntry, Person, Reply, Task
from case_store.outbox.policy import Policy
from case_store.outbox.receipts import receipt
from case_store.replies.keeping import keep
from case_store.replies.letters import Letter, Report
from case_store.replies.outcomes import Taken, set_aside
from case_store.store import Tx

_NOBODY: Final = re.compile(r"5\.1\.(?:1|2|3|6|10)")
"""Codes (RFC 3463, RFC 7505) that say: no such mailbox, no such domain, or it takes no mail at all."""

_SAYS: Final = {"failed": "failed", "delivered": "delivered"}
"""Actions that move a message on, and the word for it; `delayed` and handing on say nothing final."""


async def take_report(tx: Tx, blobs: Blobs, letter: Letter, *, by: Actor, at: datetime, policy: Policy) -> Taken:
    """Take what came to the address for bounces. An absence notice that came there is passed over.

    The address is marked bad only when the report is about the address that is on record now.
    """
    entry = await tx.session.get(OutboxEntry, letter.named.outbox_id) if letter.named else None
    report = letter.report
    if entry is None or report is None or report.action not in _SAYS:
        why = "unknown" if entry is None else report.action if report else letter.automatic or "no_report"
        return await set_aside(tx, letter, "ignored", why, entry, by=by, at=at)
    ref, said = entry.provider_ref or "", _SAYS[report.action]
    if not await receipt(tx, entry.channel, ref, said, code=report.status, by=by, at=at, policy=policy):
        return await set_aside(tx, letter, "ignored", "known", entry, by=by, at=at)
    await _note_address(tx, entry, report, by=by, at=at)
    return await _keep(tx, blobs, letter, entry, report, by=by, at=at)


async def _note_address(tx: Tx, entry: OutboxEntry, report: Report, *, by: Actor, at: datetime) -> None:
    if report.action != "failed" or not _NOBODY.fullmatch(report.status):
        return
    person = await tx.session.get_one(Person, entry.recipient_id)
    if (person.email or "").lower() in report.recipients:
        why = f"a mail server says {report.status}"
        await contacts.mark_bad(tx, person, entry.channel, by=by, at=at, why=why)


async def _keep(
    tx: Tx, blobs: Blobs, letter: Letter, entry: OutboxEntry, report: Report, *, by: Actor, at: datetime
) -> Taken:
    row = Reply(key=letter.key, channel=entry.channel, at=at, outcome="receipt", why=report.action)
    row.person_id, row.case_id, row.task_id, row.outbox_id = (
        entry.recipient_id,
        entry.case_id,
        entry.task_id,
        entry.id,
    )
    facts = {
        "reply": letter.key,
        "outbox_id": entry.id,
        "sha256": letter.sha256,
        "action": report.action,
        "status": report.status,
    }
    if entry.case_id is not None and letter.raw is not None:
        case = await tx.session.get_one(Case, entry.case_id)
        task = await tx.session.get(Task, entry.task_id) if entry.task_id else None
        row.evidence_id = (await keep(tx, blobs, letter, case, task, "bounce", by=by, at=at)).id
    tx.session.add(row)
    tx.record("reply.reported", None, by=by, at=at, case=entry.case_id, facts=facts)
    await tx.flush()
    return Taken("receipt", why=report.action)
