"""Puts a text on record and does what may be done because of it: acknowledge, comment, want no more messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import select

from case_store import access, contacts, notes, tasks
from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.lifecycle import NotAllowedNow
from case_store.models import Case, OutboxEntry, Person, Reply, Task
from case_store.refusals import AlreadyDecided, NotYours, PersonInactive
from case_store.replies.outcomes import Taken, key_of, received, was_taken
from case_store.replies.words import Said
from case_store.store import Tx


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


async def take(tx: Tx, sender: Sender, said: Said, *, by: Actor, at: datetime) -> Taken | None:
    """Take one answer; it decides nothing, whatever it says.

    Args:
        tx: The transaction.
        sender: Whom it seems to come from.
        said: What it says.
        by: Who brings it.
        at: Now.

    Returns:
        What became of it; None when it was taken before.
    """
    key = key_of(sender.channel, sender.ref)
    if await was_taken(tx, key):
        return None
    row = Reply(key=key, channel=sender.channel, at=at, person_id=sender.person.id)
    taken = await _do(tx, sender, said, row, by=by, at=at)
    row.outcome = taken.outcome
    tx.session.add(row)
    # With the row, which it tells of; so after what followed from it.
    received(tx, sender.person, key, sender.channel, said.kind, by=by, at=at, facts={"ref": sender.ref})
    await tx.flush()
    return taken


async def _do(tx: Tx, sender: Sender, said: Said, row: Reply, *, by: Actor, at: datetime) -> Taken:
    match said.kind:
        case "stop":
            await contacts.opt_out(tx, sender.person, sender.channel, by=by, at=at, why=f"answered {said.text}")
            return Taken("opted_out")
        case "start":
            await contacts.opt_in(tx, sender.person, sender.channel, by=by, at=at, why=f"answered {said.text}")
            return Taken("opted_in")
        case "acknowledge":
            about = await _told(tx, sender.person, said, by=by, at=at)
            row.case_id = about[0].case_id if about else None
            count = await acknowledge(tx, about, sender.person, sender.channel, by=by, at=at)
            return Taken("acknowledged" if count else "nothing_waits", said.case_number, count)
        case "comment" if about := await _told(tx, sender.person, said, by=by, at=at):
            return await _comment(tx, sender, said, about[0], row, by=by, at=at)
        case _:
            return Taken("not_understood")


async def acknowledge(tx: Tx, about: Sequence[Task], person: Person, channel: str, *, by: Actor, at: datetime) -> int:
    """Record that somebody takes care of those of these tasks that wait and are theirs; return how many."""
    count = 0
    for task in about:
        try:
            await tasks.acknowledge(tx, task, person, via=channel, by=by, at=at)
        except (AlreadyDecided, NotAllowedNow, NotYours, PersonInactive):
            continue
        count += 1
    return count


async def _comment(tx: Tx, sender: Sender, said: Said, task: Task, row: Reply, *, by: Actor, at: datetime) -> Taken:
    case = await tx.session.get_one(Case, task.case_id)
    words = f"Unverified, by {sender.channel}, from the address of {sender.person.name}: {said.text}"
    note = await notes.add(tx, case, words, task=task, author=by, by=by, at=at)
    facts = {"channel": sender.channel, "who": personal(sender.person, sender.person.handle), "note_id": note.id}
    tx.record("reply.noted", None, by=by, at=at, case=case, facts=facts)
    await tx.flush()
    row.case_id, row.task_id, row.note_id = case.id, task.id, note.id
    return Taken("noted", case.number)


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
