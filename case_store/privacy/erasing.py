"""What all erasures share: which values stand in place of erased ones, and how disclosures are deleted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import class_mapper

from case_store.audit import private
from case_store.audit.commitments import pseudonym
from case_store.audit.ledger import entity_key
from case_store.models import AuditPrivate, Base, Person
from case_store.models.base import JsonColumn
from case_store.store import Tx

LOCK: Final = "privacy"
"""The name that erasures and holds hold: none begins while another is under way."""

_AT_ONCE: Final = 500


def overwrite(row: Base) -> bool:
    """Put what says nothing in place of all personal values of a row; tell whether anything was there."""
    kind = type(row)
    mapper = class_mapper(kind)
    changed = False
    for name, whom in private.personal_columns(kind).items():
        column = mapper.columns[name]
        if whom != "row":
            continue
        empty: Any = None if column.nullable else {} if column.type is JsonColumn else pseudonym(entity_key(row))
        if getattr(row, name) != empty:
            setattr(row, name, empty)
            changed = True
    return changed


async def person_now(tx: Tx, person_id: str) -> Person:
    """Lock a person and read them as they are now, whatever was read of them before."""
    # Not session.get: with a lock it refuses a row whose version has moved on, instead of reading it.
    wanted = select(Person).where(Person.id == person_id).with_for_update()
    return (await tx.session.scalars(wanted.execution_options(populate_existing=True))).one()


async def disclosed(tx: Tx, entity_type: str, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many values about these rows are disclosed: by the row's id, by the pointer at which they stand."""
    await tx.settle()
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for about in _conditions(entity_type, ids):
        place = (AuditPrivate.about_id, AuditPrivate.pointer)
        wanted = select(*place, func.count()).where(about).group_by(*place).order_by(*place)
        for row_id, pointer, times in await tx.session.execute(wanted):
            found[row_id][pointer] = times
    return found


async def forget(tx: Tx, entity_type: str, ids: Sequence[str]) -> None:
    """Delete the disclosures about these rows; the database demands that events `privacy.erased` are on record."""
    await tx.flush()
    await tx.settle()
    for about in _conditions(entity_type, ids):
        await tx.session.execute(delete(AuditPrivate).where(about).execution_options(synchronize_session=False))


def _conditions(entity_type: str, ids: Sequence[str]) -> Iterable[ColumnElement[bool]]:
    for first in range(0, len(ids), _AT_ONCE):
        yield (AuditPrivate.about_type == entity_type) & AuditPrivate.about_id.in_(ids[first : first + _AT_ONCE])
