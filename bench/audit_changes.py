"""The changes that `bench.audit` measures: a note, or a batch of notes, gets another wording."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from case_store.actor import Actor
from case_store.audit.chain import append
from case_store.audit.events import Event, Subject
from case_store.audit.private import write
from case_store.ids import new_id
from case_store.models import Base, Case, Note, NoteRevision, SopDocument
from case_store.store import CaseStore

BY = Actor.system("bench")
WORDS = "The sender is on the list of the last campaign; see the header, and the second link. " * 2
_NOTES, _REVISIONS = Base.metadata.tables["notes"], Base.metadata.tables["note_revisions"]


@dataclass
class Wording:
    """What a note says now, and how often it was worded anew."""

    note_id: str
    body: str = WORDS
    revision: int = 1

    def next(self) -> str:
        """Return the next wording."""
        self.revision += 1
        return f"{WORDS}{self.revision}"


@dataclass
class Writer:
    """Somebody who words the notes of a case anew, again and again: all of them in one transaction."""

    case_id: str
    notes: list[Wording] = field(default_factory=list)


Change = Callable[[Writer], Awaitable[None]]
Sessions = Callable[[], AbstractAsyncContextManager[AsyncSession]]


def orm_plain(engine: AsyncEngine) -> Change:
    """Return the change without audit events, through a session of SQLAlchemy with a COMMIT of its own."""

    async def change(writer: Writer) -> None:
        async with AsyncSession(engine, autoflush=False, expire_on_commit=False) as session:
            await _revise(session, writer)
            await session.commit()

    return change


def orm_grouped(sessions: Sessions) -> Change:
    """Return the change without audit events, but with those of others in one COMMIT, as the product's are."""

    async def change(writer: Writer) -> None:
        async with sessions() as session:
            await _revise(session, writer)
            await session.flush()

    return change


def orm_audited(store: CaseStore) -> Change:
    """Return the change as the product makes it."""

    async def change(writer: Writer) -> None:
        async with store.transaction() as tx:
            for note in await _revise(tx.session, writer):
                tx.record("note.revised", note, by=BY, at=_now())

    return change


async def _revise(session: AsyncSession, writer: Writer) -> list[Note]:
    """Read the notes, by id if there is but one, and give each its next wording."""
    wordings = {one.note_id: one for one in writer.notes}
    if len(wordings) == 1:
        notes = [await session.get_one(Note, *wordings)]
    else:
        notes = list(await session.scalars(select(Note).where(Note.case_id == writer.case_id)))
    session.add_all([_revised(note, wordings[note.id]) for note in notes])
    return notes


def _revised(note: Note, wording: Wording) -> NoteRevision:
    now = _now()
    note.body, note.revision, note.revised_at = wording.next(), wording.revision, now
    return NoteRevision(note_id=note.id, revision=note.revision, body=note.body, at=now, by=str(BY))


def core_plain(engine: AsyncEngine) -> Change:
    """Return the change as two statements and a COMMIT."""

    async def change(writer: Writer) -> None:
        values, revision, _ = _statements(writer)
        async with engine.begin() as connection:
            await connection.execute(update(_NOTES).where(_NOTES.c.id == revision["note_id"]), values)
            await connection.execute(insert(_REVISIONS), revision)

    return change


def core_audited(store: CaseStore) -> Change:
    """Return the change as two statements, with what the product adds to them."""

    async def change(writer: Writer) -> None:
        values, revision, happened = _statements(writer)
        async with store.transaction() as tx:
            connection = await tx.session.connection()
            disclosures = await connection.run_sync(append, [happened], {})
            await connection.execute(update(_NOTES).where(_NOTES.c.id == revision["note_id"]), values)
            await connection.execute(insert(_REVISIONS), revision)
            if disclosures:
                await connection.run_sync(write, disclosures)

    return change


def _statements(writer: Writer) -> tuple[dict[str, object], dict[str, object], Event]:
    wording, now = writer.notes[0], _now()
    before = wording.body
    wording.body = wording.next()
    revision = wording.revision
    values = {"body": wording.body, "revision": revision, "revised_at": now, "version": revision}
    row = {"note_id": wording.note_id, "revision": revision, "body": wording.body, "at": now, "by": str(BY)}
    happened = Event(
        event_id=new_id(),
        at=now,
        type="note.revised",
        stream=f"case/{writer.case_id}",
        by=BY,
        request_id=new_id(),
        subject=Subject("note", wording.note_id, revision),
        changes={"body": (before, wording.body), "revision": (revision - 1, revision)},
    )
    return values, row, happened


async def open_cases(store: CaseStore, writers: int, notes: int) -> list[Writer]:
    """Open a case for each writer, with so many notes."""
    found = []
    for number in range(1, writers + 1):
        async with store.transaction() as tx:
            sop = SopDocument(digest=new_id().ljust(64, "0"), key="bench", version=1, text="sop: bench")
            pinned = {"sop_key": sop.key, "sop_version": sop.version, "sop_digest": sop.digest}
            case = Case(number=number, title="Odd mail", severity="low", opened_at=_now(), opened_by=str(BY), **pinned)
            tx.session.add_all([sop, case])
            facts = {"key": sop.key, "version": sop.version, "sha256": sop.digest}
            tx.record("sop.pinned", None, by=BY, at=_now(), facts=facts)
            tx.record("case.opened", case, by=BY, at=_now())
            writer = Writer(case.id)
            for _ in range(notes):
                note = Note(case_id=case.id, author=str(BY), body=WORDS, written_at=_now())
                tx.session.add(note)
                tx.record("note.added", note, by=BY, at=_now())
                writer.notes.append(Wording(note.id))
        found.append(writer)
    return found


def _now() -> datetime:
    return datetime.now(UTC)
