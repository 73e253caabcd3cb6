"""What people and actions write about a case; every wording is kept."""

from __future__ import annotations

from datetime import datetime

from case_store import find, texts
from case_store.actor import Actor
from case_store.models import Case, Note, NoteRevision, Person, Task
from case_store.store import Tx


async def add(
    tx: Tx, case: Case, body: str, *, task: Task | None = None, author: Person | Actor, by: Actor, at: datetime
) -> Note:
    """Add a note to a case, or to one of its tasks; a closed case takes notes too.

    Raises:
        TextRequired: The note is empty or too long.
    """
    writer = Actor.person(author) if isinstance(author, Person) else author
    note = Note(
        case_id=case.id,
        task_id=task.id if task else None,
        author=str(writer),
        body=texts.words(body, "the note"),
        written_at=at,
    )
    tx.session.add_all([note, NoteRevision(note_id=note.id, revision=1, body=note.body, at=at, by=str(by))])
    tx.record("note.added", note, by=by, at=at, case=case)
    await tx.flush()
    return note


async def revise(tx: Tx, note: Note, body: str, *, by: Actor, at: datetime) -> Note:
    """Give a note another wording; the earlier ones stay on record. The same wording again changes nothing.

    Raises:
        TextRequired: The note would be empty or too long.
    """
    _, note = await find.locked(tx, note)
    wording = texts.words(body, "the note")
    if wording == note.body:
        return note
    note.body, note.revision, note.revised_at = wording, note.revision + 1, at
    tx.session.add(NoteRevision(note_id=note.id, revision=note.revision, body=wording, at=at, by=str(by)))
    tx.record("note.revised", note, by=by, at=at)
    await tx.flush()
    return note
