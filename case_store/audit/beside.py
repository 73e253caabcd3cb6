"""Rows that are not audited one by one, compared with what events tell of them.

SOPs that cases are bound to have the digest that is their name; every wording of a note has its event; messages, codes,
sinks, breakers and replies have events that name them by a fact.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from case_store.audit import catalogue, private
from case_store.audit.commitments import digest_in, pseudonym
from case_store.audit.events import rfc3339
from case_store.audit.fold import Difference
from case_store.audit.ledger import stream_of
from case_store.models import (
    AuditEvent,
    AuditSink,
    Breaker,
    Case,
    Note,
    NoteRevision,
    OutboxEntry,
    Reply,
    SignOffCode,
    SopDocument,
    Task,
)

if TYPE_CHECKING:
    from case_store.store import Tx

_CHUNK: Final = 200
_GONE: Final = "it is not in its table"
_NOBODY_MADE_IT: Final = "it does not exist"

_STATES: Final = {
    "notification.sent": "sent",
    "notification.postponed": "pending",
    "notification.failed": "dead",
    "notification.unknown": "unknown",
    "notification.delivered": "delivered",
    "notification.cancelled": "cancelled",
    "notification.retried": "pending",
    "notification.in_digest": "cancelled",
    "notification.fell_over": "pending",
}
"""What each event made of a message; one that is not here left it as it was."""
_UNDER_WAY: Final = frozenset({"pending", "unknown"})
"""States from which a message may be leased, which is bookkeeping."""


async def differences(tx: Tx) -> AsyncIterator[Difference]:
    """Yield everything in which these rows differ from what the events say."""
    for compare in (_sops, _wordings, _messages_and_codes, _sinks, _breakers, _replies):
        async for one in compare(tx):
            yield one


async def _sops(tx: Tx) -> AsyncIterator[Difference]:
    told = {facts["sha256"]: facts async for _, facts in _facts(tx, "sop.pinned")}
    digests = set()
    async for document in await tx.session.stream_scalars(select(SopDocument).execution_options(yield_per=_CHUNK)):
        digests.add(document.digest)
        actual = sha256(document.text.encode("utf-8", "surrogatepass")).hexdigest()
        if actual != document.digest:
            yield Difference("sop", document.digest, "the SHA-256 of its text", actual, document.digest)
        for name in ("key", "version"):
            said = told.get(document.digest, {}).get(name, getattr(document, name))
            if said != getattr(document, name):
                yield Difference("sop", document.digest, name, getattr(document, name), said)
    bound = await tx.session.execute(select(Case.sop_digest, Case.number).order_by(Case.number))
    missing = {digest: number for digest, number in reversed(bound.all()) if digest not in digests}
    for digest in told.keys() - digests - missing.keys():
        yield Difference("sop", digest, None, _GONE, "it exists")
    for digest, number in missing.items():
        yield Difference("sop", digest, None, _GONE, f"CASE-{number} is bound to it")


async def _wordings(tx: Tx) -> AsyncIterator[Difference]:
    last = ""
    while notes := (await tx.session.execute(_notes_after(last))).all():
        wanted = select(NoteRevision).where(NoteRevision.note_id.in_([note.id for note in notes]))
        rows = {(row.note_id, row.revision): row for row in await tx.session.scalars(wanted)}
        told = await _told_wordings(tx, [note.id for note in notes])
        cases = {note.id: note.case_id for note in notes}
        for note_id, revision in sorted(rows.keys() | told.keys()):
            row = rows.get((note_id, revision))
            said = told.get((note_id, revision))
            for column, is_, was in _wording(row, said):
                yield Difference(
                    "note_revision", f"{note_id}/{revision}", column, is_, was, frozenset((cases[note_id],))
                )
        last = notes[-1].id
        tx.session.expunge_all()


def _notes_after(last: str) -> Any:  # noqa: ANN401 - a query of two columns
    return select(Note.id, Note.case_id).where(Note.id > last).order_by(Note.id).limit(_CHUNK)


async def _told_wordings(tx: Tx, ids: Sequence[str]) -> dict[tuple[str, int], dict[str, str]]:
    """Return what the events say of each wording; one whose words were erased has the pseudonym of its note."""
    wanted = select(AuditEvent.body).where(
        AuditEvent.entity_type == Note.entity_type,
        AuditEvent.entity_id.in_(ids),
        AuditEvent.type.in_(("note.added", "note.revised")),
    )
    found = {}
    for body in await private.read(tx, (await tx.session.scalars(wanted)).all(), gone=None):
        note_id, words = body["entity"]["id"], body["changes"]["body"][1]
        by = body["actor"]
        found[note_id, body["changes"]["revision"][1]] = {
            "body": pseudonym(note_id) if digest_in(words) is not None else words,
            "at": body["ts"],
            "by": f"{by['kind']}:{by['id']}",
        }
    return found


def _wording(row: NoteRevision | None, told: Mapping[str, str] | None) -> Iterator[tuple[str | None, str, str]]:
    if row is None or told is None:
        yield None, _GONE if row is None else "it is in its table", "it exists" if row is None else _NOBODY_MADE_IT
        return
    is_ = {"body": row.body, "at": rfc3339(row.at), "by": row.by}
    yield from ((name, is_[name], told[name]) for name in is_ if is_[name] != told[name])


@dataclass(slots=True)
class _Told:
    """What events say of a message or a code: its state, and the facts that name it."""

    state: str = "pending"
    facts: dict[str, Any] = field(default_factory=dict)
    wrong: int = 0
    verified_at: str | None = None
    used: bool = False


_ABOUT_MESSAGES: Final = _STATES.keys() | {"notification.receipt"}
_ABOUT_CODES: Final = frozenset(
    kind.type for kinds in catalogue.AREAS.values() for kind in kinds if "code_id" in kind.facts
)


async def _messages_and_codes(tx: Tx) -> AsyncIterator[Difference]:
    """Compare case by case, then what belongs to no case."""
    last = ""
    while ids := (await tx.session.scalars(_cases_after(last))).all():
        messages, codes = await _told(tx, [stream_of(None, case_id) for case_id in ids])
        rows = (await tx.session.scalars(select(OutboxEntry).where(OutboxEntry.case_id.in_(ids)))).all()
        for one in _compared_messages(rows, messages):
            yield one
        of_cases = select(SignOffCode).join(Task, Task.id == SignOffCode.task_id).where(Task.case_id.in_(ids))
        for one in _compared_codes((await tx.session.scalars(of_cases)).all(), codes):
            yield one
        last = ids[-1]
        tx.session.expunge_all()
    messages, _ = await _told(tx, [stream_of(None)])
    of_none = select(OutboxEntry).where(OutboxEntry.case_id.is_(None))
    for one in _compared_messages((await tx.session.scalars(of_none)).all(), messages):
        yield one
    tx.session.expunge_all()


def _cases_after(last: str) -> Any:  # noqa: ANN401 - a query of one column
    return select(Case.id).where(Case.id > last).order_by(Case.id).limit(_CHUNK)


async def _told(tx: Tx, streams: Sequence[str]) -> tuple[dict[str, _Told], dict[str, _Told]]:
    """Return what the events of these streams say of messages and of codes, by their ids."""
    messages: dict[str, _Told] = defaultdict(_Told)
    codes: dict[str, _Told] = defaultdict(_Told)
    async for body, facts in _facts(tx, *_ABOUT_MESSAGES, *_ABOUT_CODES, streams=streams):
        if body["type"] in _ABOUT_MESSAGES:
            message = messages[facts["outbox_id"]]
            message.state, message.facts = _STATES.get(body["type"], message.state), facts
        elif (code_id := facts.get("code_id")) is not None:
            code = codes[code_id]
            match body["type"]:
                case "code.sent":
                    code.facts = facts
                case "code.wrong":
                    code.wrong = facts["wrong"]
                case "code.verified":
                    code.verified_at = body["ts"]
                case _:
                    code.used = True
    return messages, codes


def _compared_messages(rows: Sequence[OutboxEntry], told: dict[str, _Told]) -> Iterator[Difference]:
    for row in rows:
        said = told.pop(row.id, _Told())
        is_ = said.state if row.state == "leased" and said.state in _UNDER_WAY else row.state
        if is_ != said.state:
            yield Difference("message", row.id, "state", is_, said.state)
        for name in ("channel", "recipient_id", "template", "task_id"):
            if name in said.facts and getattr(row, name) != said.facts[name]:
                yield Difference("message", row.id, name, getattr(row, name), said.facts[name])
    yield from (Difference("message", gone, None, _GONE, "it exists") for gone in told)


def _compared_codes(rows: Sequence[SignOffCode], told: dict[str, _Told]) -> Iterator[Difference]:
    for row in rows:
        said = told.pop(row.id, None)
        if said is None or not said.facts:
            yield Difference("code", row.id, None, "it is in its table", _NOBODY_MADE_IT)
            continue
        verified = rfc3339(row.verified_at) if row.verified_at else None
        for name, is_, was in (
            ("task_id", row.task_id, said.facts["task_id"]),
            ("channel", row.channel, said.facts["channel"]),
            ("wrong", row.wrong, said.wrong),
            ("verified_at", verified, said.verified_at),
            ("used", row.used_at is not None, said.used),
        ):
            if is_ != was:
                yield Difference("code", row.id, name, is_, was)
    yield from (Difference("code", gone, None, _GONE, "it exists") for gone in told)


async def _sinks(tx: Tx) -> AsyncIterator[Difference]:
    told: dict[str, dict[str, Any]] = defaultdict(dict)
    async for body, facts in _facts(tx, "audit.sink_added", "audit.sink_changed", "audit.sink_removed"):
        told[facts["sink"]] |= facts | {"removed": body["type"] == "audit.sink_removed"}
    for row in await tx.session.scalars(select(AuditSink)):
        said = told.pop(row.name, None)
        if said is None:
            yield Difference("sink", row.name, None, "it is in its table", _NOBODY_MADE_IT)
            continue
        is_ = {"kind": row.kind, "fingerprint": row.fingerprint, "removed": row.removed_at is not None}
        for name, value in is_.items():
            if value != said.get(name):
                yield Difference("sink", row.name, name, value, said.get(name))
    for name in told:
        yield Difference("sink", name, None, _GONE, "it exists")


async def _breakers(tx: Tx) -> AsyncIterator[Difference]:
    told = {
        facts["breaker"]: body["type"] async for body, facts in _facts(tx, "channel.left_alone", "channel.works_again")
    }
    for row in await tx.session.scalars(select(Breaker)):
        is_, said = row.open_until is not None, told.get(row.channel) == "channel.left_alone"
        if is_ != said:
            yield Difference("channel", row.channel, "left alone", is_, said)


async def _replies(tx: Tx) -> AsyncIterator[Difference]:
    told = {facts["reply"] async for _, facts in _facts(tx, "reply.received", "reply.set_aside", "reply.reported")}
    kept = set(await tx.session.scalars(select(Reply.key)))
    for key in sorted(told - kept):
        yield Difference("reply", key, None, _GONE, "it was taken")
    for key in sorted(kept - told):
        yield Difference("reply", key, None, "it is in its table", "it was never taken")


async def _facts(
    tx: Tx, *types: str, streams: Sequence[str] | None = None
) -> AsyncIterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the body and the facts of the events of these types, the oldest first; personal facts are withheld."""
    wanted = select(AuditEvent.body).where(AuditEvent.type.in_(types)).order_by(AuditEvent.id)
    if streams is not None:
        wanted = wanted.where(AuditEvent.stream.in_(streams))
    async for text in await tx.session.stream_scalars(wanted.execution_options(yield_per=_CHUNK)):
        body = json.loads(text)
        yield body, body["facts"]
