"""Puts commitments into events, and values back into their bodies for as long as they are disclosed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, select
from sqlalchemy.orm import class_mapper

from case_store.audit import commitments
from case_store.audit.commitments import ERASED, Personal, pointer
from case_store.audit.events import Event, canonical
from case_store.audit.prepared import Prepared
from case_store.models import AuditPrivate, Base

if TYPE_CHECKING:
    from case_store.store import Tx

Row = dict[str, str]
_AT_ONCE: Final = 500
_INSERT: Final = Prepared(
    Base.metadata.tables[AuditPrivate.__tablename__],
    ("event_id", "pointer", "disclosure", "about_type", "about_id"),
)


@cache
def personal_columns(kind: type[Base]) -> Mapping[str, str]:
    """Return the personal columns of a model and whom each is about: "row", or the person with that "handle"."""
    columns = class_mapper(kind).columns.items()
    return {name: str(column.info["personal"]) for name, column in columns if "personal" in column.info}


def hide(event: Event) -> tuple[Event, list[Row]]:
    """Return the event with commitments in place of its personal values, and the rows of their disclosures."""
    rows: list[Row] = []
    changes = {
        name: (_hidden(event, before, ("changes", name, 0), rows), _hidden(event, after, ("changes", name, 1), rows))
        for name, (before, after) in event.changes.items()
        if isinstance(before, Personal) or isinstance(after, Personal)
    }
    facts = {
        name: _hidden(event, fact, ("facts", name), rows)
        for name, fact in event.facts.items()
        if isinstance(fact, Personal)
    }
    if not changes and not facts:
        return event, []
    return replace(event, changes={**event.changes, **changes}, facts={**event.facts, **facts}), rows


def _hidden(event: Event, value: object, steps: tuple[str | int, ...], rows: list[Row]) -> object:
    if not isinstance(value, Personal):
        return value
    where = pointer(*steps)
    plain = canonical(value.value, where)
    if commitments.says_nothing(plain):
        return plain
    commitment, disclosure = commitments.commit_to(where, plain)
    kind, key = value.about
    rows.append(
        {
            "event_id": event.event_id,
            "pointer": where,
            "disclosure": disclosure,
            "about_type": kind,
            "about_id": key,
        }
    )
    return commitment


def write(connection: Connection, rows: Sequence[Row]) -> None:
    """Write disclosures."""
    _INSERT.execute(connection, rows)


async def read(tx: Tx, texts: Sequence[str], *, gone: str | None = ERASED) -> list[dict[str, Any]]:
    """Return bodies of events with the values that are still disclosed.

    Args:
        tx: The transaction.
        texts: The bodies, as they are on record.
        gone: What to show in place of a value that is not; None leaves its commitment.
    """
    await tx.settle()
    bodies = [json.loads(text) for text in texts]
    hiding = {body["event_id"]: body for text, body in zip(texts, bodies, strict=True) if '{"_sd":' in text}
    ids = list(hiding)
    for first in range(0, len(ids), _AT_ONCE):
        some = ids[first : first + _AT_ONCE]
        wanted = select(AuditPrivate.event_id, AuditPrivate.disclosure).where(AuditPrivate.event_id.in_(some))
        for event_id, disclosure in await tx.session.execute(wanted):
            _put_back(hiding[event_id], disclosure)
    if gone is not None:
        for body in hiding.values():
            _cover(body, gone)
    return bodies


def _put_back(body: dict[str, Any], disclosure: str) -> None:
    """Put a value back; a disclosure that is not the one the event commits to is nobody's word."""
    try:
        where, value = commitments.opened(disclosure)
    except ValueError:
        return
    for place, holder, key in _places(body):
        if place == where and commitments.digest_in(holder[key]) == commitments.digest(disclosure):
            holder[key] = value


def _cover(body: dict[str, Any], gone: str) -> None:
    for _, holder, key in _places(body):
        if commitments.digest_in(holder[key]) is not None:
            holder[key] = gone


def _places(body: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield every place of a body where a commitment may stand: its pointer, and how to reach it."""
    for name, change in body["changes"].items():
        for at in range(len(change)):
            yield pointer("changes", name, at), change, at
    for name in body["facts"]:
        yield pointer("facts", name), body["facts"], name
