"""Puts a mail on record that came back, and does what may be done because of it: acknowledge or comment, no more.

What it says of its sender can be forged. It counts as somebody's when it came to an address that we signed for a
message to them, and from their own address; what lacks one of these becomes a note at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select

from case_store import find, notes
from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.blobs import Blobs
from case_store.models import Case, Note, OutboxEntry, Person, Reply, Task
from case_store.outbox.policy import DEFAULT, Policy
from case_store.replies.answering import promise_answer
from case_store.replies.keeping import keep
from case_store.replies.letters import Letter
from case_store.replies.outcomes import MAIL, Taken, received, set_aside, was_taken
from case_store.replies.reports import take_report
from case_store.replies.taking import acknowledge, may_see
from case_store.store import Tx

MOST_AN_HOUR: Final = 5
"""Mails of one person about one case that are taken in an hour, and so how many answers they get: no loop goes on.
Those from other addresses are counted apart, so that nobody uses up what is the person's."""

_HOUR: Final = timedelta(hours=1)
_SENDER: Final = 320
_OTHER: Final = "other_address"
_TOO_LARGE: Final = "too_large"


@dataclass(frozen=True, slots=True)
class _Told:
    """The message of ours that a mail answers, and whether the mail is its reader's.

    Attributes:
        entry: The message.
        person: Whom it was for.
        signed: The mail came to the address that we signed for this message.
        own: It says that it comes from the person's address.
    """

    entry: OutboxEntry
    person: Person
    signed: bool
    own: bool


async def take_letter(
    tx: Tx, blobs: Blobs, letter: Letter, *, by: Actor, at: datetime, policy: Policy = DEFAULT
) -> Taken | None:
    """Take one mail; it decides nothing, whatever it says.

    1. What was taken before changes nothing.
    2. What came to the address for bounces is a mail server's report, or nothing.
    3. What no person wrote is passed over, and never answered.
    4. It must answer a message of ours about a case, which its reader may see.
    5. The bytes are kept as evidence.
    6. It acknowledges, or becomes a note; whoever it belongs to hears what became of it.

    Args:
        tx: The transaction.
        blobs: Where the bytes are kept.
        letter: The mail.
        by: Who brings it.
        at: Now.
        policy: What the installation decides about messages.

    Returns:
        What became of it; None when it was taken before.
    """
    if await was_taken(tx, letter.key):
        return None
    if letter.named is not None and letter.named.kind == "bounce":
        return await take_report(tx, blobs, letter, by=by, at=at, policy=policy)
    if letter.automatic is not None:
        return await set_aside(tx, letter, "ignored", letter.automatic, by=by, at=at)
    told = await _told(tx, letter)
    if told is None:
        return await set_aside(tx, letter, "refused", "unknown", by=by, at=at)
    why = await _why_not(tx, letter, told, by=by, at=at)
    if why is not None:
        taken = await set_aside(tx, letter, "refused", why, told.entry, by=by, at=at)
        return await _answered(tx, letter, told, taken, at) if why == _TOO_LARGE else taken
    return await _answered(tx, letter, told, await _take(tx, blobs, letter, told, by=by, at=at), at)


async def _told(tx: Tx, letter: Letter) -> _Told | None:
    """Find the message that a mail answers: the one that its address names, or else the one it says it answers."""
    if letter.named is not None:
        entry = await tx.session.get(OutboxEntry, letter.named.outbox_id)
        return await _whose(tx, entry, letter, signed=True) if entry else None
    if not letter.thread:
        return None
    wanted = select(OutboxEntry).where(OutboxEntry.channel == MAIL, OutboxEntry.provider_ref.in_(letter.thread))
    found = {entry.provider_ref: entry for entry in await tx.session.scalars(wanted)}
    nearest = next((found[ref] for ref in letter.thread if ref in found), None)
    return await _whose(tx, nearest, letter, signed=False) if nearest else None


async def _whose(tx: Tx, entry: OutboxEntry, letter: Letter, *, signed: bool) -> _Told:
    person = await tx.session.get_one(Person, entry.recipient_id)
    own = letter.sender is not None and letter.sender == (person.email or "").lower()
    return _Told(entry, person, signed, own)


async def _why_not(tx: Tx, letter: Letter, told: _Told, *, by: Actor, at: datetime) -> str | None:
    """Return why a mail is not taken; None when it is."""
    if not told.person.active:
        return "inactive"
    if letter.sender is None or not (told.signed or told.own):
        return "sender"
    if told.entry.case_id is None:
        return "no_case"
    if not await may_see(tx, told.person, told.entry.case_id, by=by, at=at):
        return "hidden"
    if await _too_many(tx, told, at):
        return "too_many"
    return _nothing_to_take(letter)


def _nothing_to_take(letter: Letter) -> str | None:
    if letter.raw is None:
        return _TOO_LARGE
    return None if letter.said.text else "empty"


async def _too_many(tx: Tx, told: _Told, at: datetime) -> bool:
    """Tell whether so many were taken, or answered, within an hour."""
    theirs = Reply.why.is_(None) | (Reply.why == _TOO_LARGE)
    taken = select(func.count()).where(
        Reply.person_id == told.person.id,
        Reply.case_id == told.entry.case_id,
        Reply.channel == MAIL,
        Reply.at > at - _HOUR,
        Reply.outcome.not_in(("ignored", "receipt")),
        theirs if told.own else Reply.why == _OTHER,
    )
    return (await tx.session.scalar(taken) or 0) >= MOST_AN_HOUR


async def _take(tx: Tx, blobs: Blobs, letter: Letter, told: _Told, *, by: Actor, at: datetime) -> Taken:
    case = await find.case(tx, told.entry.case_id or "", lock=True)
    task = await find.task(tx, told.entry.task_id, lock=True) if told.entry.task_id else None
    mail = await keep(tx, blobs, letter, case, task, "reply", by=by, at=at)
    row = Reply(
        key=letter.key,
        channel=MAIL,
        at=at,
        person_id=told.person.id,
        case_id=case.id,
        task_id=task.id if task else None,
        outbox_id=told.entry.id,
        evidence_id=mail.id,
        why=None if told.own else _OTHER,
    )
    taken = await _do(tx, letter, told, case, task, row, by=by, at=at)
    row.outcome = taken.outcome
    tx.session.add(row)
    facts = {"sha256": letter.sha256, "outbox_id": told.entry.id}
    received(tx, told.person, letter.key, MAIL, letter.said.kind, by=by, at=at, facts=facts)
    await tx.flush()
    return taken


async def _do(
    tx: Tx, letter: Letter, told: _Told, case: Case, task: Task | None, row: Reply, *, by: Actor, at: datetime
) -> Taken:
    said = letter.said
    if said.kind == "acknowledge" and told.signed and told.own and task is not None:
        count = await acknowledge(tx, [task], told.person, MAIL, by=by, at=at)
        if letter.more:
            row.note_id = (await _note(tx, letter, told, case, task, row, by=by, at=at)).id
        return Taken("acknowledged" if count else "nothing_waits", case.number, count)
    row.note_id = (await _note(tx, letter, told, case, task, row, by=by, at=at)).id
    return Taken("noted", case.number, decides=said.kind == "decide")


async def _note(
    tx: Tx, letter: Letter, told: _Told, case: Case, task: Task | None, row: Reply, *, by: Actor, at: datetime
) -> Note:
    whose = f"the address of {told.person.name}"
    if not told.own:
        whose = f"{(letter.sender or '')[:_SENDER]}, which is not {whose} to whom the message was sent"
    files = f", with {letter.attachments} attached" if letter.attachments else ""
    words = (
        f"Unverified, by {MAIL}, from {whose}: {letter.said.text}\n\n"
        f"[The mail as it came{files} is evidence: SHA-256 {letter.sha256}]"
    )
    note = await notes.add(tx, case, words, task=task, author=by, by=by, at=at)
    facts = {
        "channel": MAIL,
        "who": personal(told.person, told.person.handle),
        "note_id": note.id,
        "evidence_id": row.evidence_id,
        "own_address": told.own,
        "signed_address": told.signed,
    }
    tx.record("reply.noted", None, by=by, at=at, case=case, facts=facts)
    await tx.flush()
    return note


async def _answered(tx: Tx, letter: Letter, told: _Told, taken: Taken, at: datetime) -> Taken:
    """Promise to tell the person what became of their mail; somebody else's address hears nothing."""
    if told.own and told.signed:
        await promise_answer(tx, told.entry, told.person, letter.key, taken, at=at)
    return taken
