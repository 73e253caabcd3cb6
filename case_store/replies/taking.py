"""Puts an answer on record and does what may be done because of it: acknowledge, comment, want no more messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from sqlalchemy import select

from case_store import access, contacts, notes, tasks
from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.lifecycle import NotAllowedNow
from case_store.models import Case, IdempotencyKey, OutboxEntry, Person, Task
from case_store.refusals import AlreadyDecided, NotYours, PersonInactive
from case_store.replies.words import Said
from case_store.store import Tx

HELP: Final = "This decides nothing. To say that you take care of a case, write ACK and its number, such as ACK 42."


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom an answer seems to come from, by which channel, and what the provider calls it: each name counts once."""

    person: Person
    channel: str
    ref: str


async def by_phone(tx: Tx, number: str) -> Person | None:
    """Return the one active person with a phone number; None when there is none, or more than one."""
    found = (await tx.session.scalars(select(Person).where(Person.phone == number, Person.active).limit(2))).all()
    return found[0] if len(found) == 1 else None


async def take_of_shared(tx: Tx, number: str, channel: str, ref: str, said: Said, *, by: Actor, at: datetime) -> None:
    """Take a text from a number that several people have: who they are is not known, but who wants no more texts is.

    To stop and to start hold for all of them, as they do at the provider. Anything else is passed over.
    """
    if said.kind not in {"stop", "start"}:
        return
    for person in await tx.session.scalars(select(Person).where(Person.phone == number, Person.active)):
        await take(tx, Sender(person, channel, f"{ref}:{person.id}"), said, by=by, at=at)


async def take(tx: Tx, sender: Sender, said: Said, *, by: Actor, at: datetime) -> str | None:
    """Take one answer; it decides nothing, whatever it says.

    Args:
        tx: The transaction.
        sender: Whom it seems to come from.
        said: What it says.
        by: Who brings it.
        at: Now.

    Returns:
        What to tell the sender; None when nothing is to be said, or it was taken before.
    """
    key = f"reply:{sender.channel}:{sha256(sender.ref.encode()).hexdigest()}"
    if await tx.session.get(IdempotencyKey, key) is not None:
        return None
    tx.session.add(IdempotencyKey(key=key, entity_type=Person.entity_type, entity_id=sender.person.id))
    facts = {"reply": key, "channel": sender.channel, "ref": sender.ref, "kind": said.kind}
    tx.record("reply.received", sender.person, by=by, at=at, facts=facts)
    await tx.flush()
    match said.kind:
        case "stop":
            await contacts.opt_out(tx, sender.person, sender.channel, by=by, at=at, why=f"answered {said.text}")
            return None
        case "start":
            await contacts.opt_in(tx, sender.person, sender.channel, by=by, at=at, why=f"answered {said.text}")
            return None
        case "acknowledge":
            return await _acknowledge(tx, sender, said, by=by, at=at)
        case "comment":
            return await _comment(tx, sender, said, by=by, at=at)
        case _:
            return HELP


async def _acknowledge(tx: Tx, sender: Sender, said: Said, *, by: Actor, at: datetime) -> str:
    count = 0
    for task in await _told(tx, sender.person, said, by=by, at=at):
        try:
            await tasks.acknowledge(tx, task, sender.person, via=sender.channel, by=by, at=at)
        except (AlreadyDecided, NotAllowedNow, NotYours, PersonInactive):
            continue
        count += 1
    if count == 0:
        return f"CASE-{said.case_number} has nothing that waits for you."
    return f"Thank you. CASE-{said.case_number}: you take care of {count} task{'s' if count > 1 else ''}."


async def _comment(tx: Tx, sender: Sender, said: Said, *, by: Actor, at: datetime) -> str:
    about = await _told(tx, sender.person, said, by=by, at=at)
    if not about:
        return HELP
    task = about[0]
    case = await tx.session.get_one(Case, task.case_id)
    words = f"Unverified, by {sender.channel}, from the address of {sender.person.name}: {said.text}"
    note = await notes.add(tx, case, words, task=task, author=by, by=by, at=at)
    facts = {"channel": sender.channel, "who": personal(sender.person, sender.person.handle), "note_id": note.id}
    tx.record("reply.noted", None, by=by, at=at, case=case, facts=facts)
    await tx.flush()
    return f"Noted in CASE-{case.number}. This decides nothing."


async def _told(tx: Tx, person: Person, said: Said, *, by: Actor, at: datetime) -> Sequence[Task]:
    """Return the tasks of a case of which a person was told: all of them, or the one that a marker names.

    Of a case that they may not see (any more) they are told as much as of one that does not exist.
    """
    wanted = (
        select(OutboxEntry.dedup_key, Task)
        .join(Task, Task.id == OutboxEntry.task_id)
        .join(Case, Case.id == Task.case_id)
        .where(OutboxEntry.recipient_id == person.id, Case.number == said.case_number)
        .order_by(Task.position, Task.id)
    )
    rows = await tx.session.execute(wanted)
    found = {task.id: task for key, task in rows if said.digits is None or marker_digits(key) == said.digits}
    if found and not await may_see(tx, person, next(iter(found.values())).case_id, by=by, at=at):
        return []
    return list(found.values())


async def may_see(tx: Tx, person: Person, case_id: str, *, by: Actor, at: datetime) -> bool:
    """Tell whether somebody may see a case; it is on record when not."""
    reads = await access.read_as(tx, person, looks=False)
    if reads.may_see(case_id):
        return True
    access.record(tx, reads, by=by, at=at)
    await tx.flush()
    return False


def marker_digits(dedup_key: str) -> str:
    """Return the digits in the marker of a message, as those who send it make them."""
    return sha256(dedup_key.encode("utf-8", "surrogatepass")).hexdigest()[:4].upper()
