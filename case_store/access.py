"""Who may see a case that is restricted; everybody else meets it as little as one that does not exist.

One place for all: a transaction for a reader leaves out, in every query through the session, the rows of cases which
that reader may not see, and their audit events. The engine and its helpers read without a reader, and see everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import event, or_, select
from sqlalchemy.orm import ORMExecuteState, QueryContext, with_loader_criteria

from case_store import find, reader, texts
from case_store.actor import Actor
from case_store.audit.guard import GuardedSession
from case_store.audit.ledger import personal, stream_of
from case_store.audit.trail import TrailEvent
from case_store.models import Alert, AuditEvent, Base, Case, Evidence, Person
from case_store.reader import Reader
from case_store.refusals import NobodyNamed
from case_store.store import Tx

AUDITOR: Final = "auditor"
"""The role that sees every case; each look is on record, as everybody's is."""

_OF_CASES: Final = tuple(mapper.class_ for mapper in Base.registry.mappers if "case_id" in mapper.columns)


async def restrict(tx: Tx, case: Case, to: Sequence[Person | str], reason: str, *, by: Actor, at: datetime) -> Case:
    """Let only these people, and whoever has these roles, see a case; its owner and whoever restricts it see it, too.

    Raises:
        NobodyNamed: Nobody is named, or nobody has a role that is.
        TextRequired: There is no reason.
    """
    named = {f"role:{one}" if isinstance(one, str) else f"person:{one.id}" for one in to}
    if not named:
        raise NobodyNamed("nobody is named who may see the case")
    for role in (one for one in to if isinstance(one, str)):
        if not await find.people_with_role(tx, role):
            raise NobodyNamed(f"nobody has the role {role}")
    facts = {"reason": personal(case, texts.words(reason, "the reason"))}
    case = await find.case(tx, case.id, lock=True)
    tx.record("case.restricted", case, by=by, at=at, facts=facts)
    case.restricted_to = sorted(named | ({str(by)} if by.kind == "person" else set()))
    await tx.flush()
    return case


async def unrestrict(tx: Tx, case: Case, reason: str, *, by: Actor, at: datetime) -> bool:
    """Let everybody see a case again; False when everybody does.

    Raises:
        TextRequired: There is no reason.
    """
    facts = {"reason": personal(case, texts.words(reason, "the reason"))}
    case = await find.case(tx, case.id, lock=True)
    if case.restricted_to is None:
        return False
    case.restricted_to = None
    tx.record("case.unrestricted", case, by=by, at=at, facts=facts)
    await tx.flush()
    return True


async def read_as(tx: Tx, person: Person | None, *, looks: bool = True) -> Reader:
    """Have the rest of a transaction be a person's, who may not see everything; None is somebody whom nobody knows.

    Args:
        tx: The transaction.
        person: Who reads.
        looks: Leave hidden rows out of all queries. Without it only what is asked for by name is refused.
    """
    restricted = await tx.session.execute(
        select(Case.id, Case.restricted_to, Case.owner_id).where(Case.restricted_to.is_not(None))
    )
    hidden = frozenset(row.id for row in restricted if not _may_see(person, row.restricted_to, row.owner_id))
    rows: set[str] = set()
    for kind in (Alert, Evidence) if hidden else ():
        rows |= set(await tx.session.scalars(select(kind.id).where(kind.case_id.in_(hidden))))
    found = Reader(hidden, frozenset(rows), looks=looks)
    reader.put(tx.session.sync_session, found)
    return found


async def restricted(tx: Tx) -> frozenset[str]:
    """Return the ids of the cases that are restricted, by the table or by the record."""
    kinds = ("case.restricted", "case.unrestricted")
    wanted = select(AuditEvent.stream, AuditEvent.type).where(AuditEvent.type.in_(kinds)).order_by(AuditEvent.id)
    last = {row.stream: row.type for row in await tx.session.execute(wanted)}
    by_record = {stream.partition("/")[2] for stream, kind in last.items() if kind == "case.restricted"}
    return frozenset(by_record | set(await tx.session.scalars(select(Case.id).where(Case.restricted_to.is_not(None)))))


def record(tx: Tx, met: Reader, *, by: Actor, at: datetime) -> None:
    """Put on record what restricted cases somebody was shown, and which they asked for in vain."""
    for kind, cases in (("case.read", met.seen), ("access.refused", met.refused)):
        for case_id in sorted(cases):
            tx.record(kind, None, by=by, at=at, case=case_id)


async def saw(tx: Tx, events: Iterable[TrailEvent]) -> None:
    """Note that whoever reads was shown these events: some may be about restricted cases, which no query has loaded."""
    found = reader.of(tx.session.sync_session)
    if found is None or not found.looks:
        return
    streams = {stream_of(None, case_id): case_id for case_id in await restricted(tx)}
    found.seen |= {streams[event.stream] for event in events if event.stream in streams}


def hidden_events(tx: Tx) -> tuple[frozenset[str], frozenset[str]]:
    """Return of which streams, and about which rows, whoever reads may not see audit events."""
    found = reader.of(tx.session.sync_session)
    return (_streams(found), found.rows) if found else (frozenset(), frozenset())


def _streams(met: Reader) -> frozenset[str]:
    return frozenset(stream_of(None, case_id) for case_id in met.hidden)


def _may_see(person: Person | None, to: list[str] | None, owner_id: str | None) -> bool:
    if person is None or not person.active:
        return False
    mine = {f"person:{person.id}", *(f"role:{role}" for role in person.roles)}
    return AUDITOR in person.roles or owner_id == person.id or bool(mine & set(to or ()))


@event.listens_for(GuardedSession, "do_orm_execute")
def _leave_out(state: ORMExecuteState) -> None:
    found = reader.of(state.session)
    if found is None or not found.hidden or not found.looks or not state.is_select:
        return
    if not state.execution_options.get(reader.WHATEVER_IS_HIDDEN):
        state.statement = state.statement.options(*_criteria(found))


def _criteria(met: Reader) -> list[Any]:
    hidden, streams = sorted(met.hidden), sorted(_streams(met))
    return [
        with_loader_criteria(Case, Case.id.not_in(hidden)),
        with_loader_criteria(AuditEvent, AuditEvent.stream.not_in(streams)),
        with_loader_criteria(
            AuditEvent, or_(AuditEvent.entity_id.is_(None), AuditEvent.entity_id.not_in(sorted(met.rows)))
        ),
        *(with_loader_criteria(kind, or_(kind.case_id.is_(None), kind.case_id.not_in(hidden))) for kind in _OF_CASES),
    ]


@event.listens_for(Case, "load")
@event.listens_for(Case, "refresh")
def _note(case: Case, context: QueryContext, *_attributes: object) -> None:
    found = reader.of(context.session)
    if found is not None and found.looks and case.restricted_to is not None and case.id not in found.hidden:
        found.seen.add(case.id)
