"""What comes next for a sink: a batch of events in the order of the tree, or the newest checkpoint.

Only the newest checkpoint is delivered, also after an outage. It covers all before it, and one that comes late proves
nothing: whoever holds the log's key could have made it up in between.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Row, select

from case_store.audit.formats import FORMATS, Format, Record
from case_store.errors import StoreDamaged
from case_store.models import AuditCheckpoint, AuditEvent, AuditLeaf
from case_store.sinks.address import Address
from case_store.sinks.contract import Line, SinkDown
from case_store.store import Tx

BATCH: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024
_CHUNK: Final = 50
WHOLE_SYSLOG: Final = frozenset({"syslog", "rfc5424"})
"""Formats whose lines are syslog messages themselves."""


@dataclass(frozen=True, slots=True)
class Next:
    """What a sink gets now: its lines, where it is after them, and the size of the tree that a checkpoint tells."""

    lines: Sequence[Line]
    cursor: int
    size: int | None = None


async def next_for(tx: Tx, address: Address, cursor: int) -> Next:
    """Read what comes at the cursor; no lines when nothing does.

    Raises:
        SinkDown: An event cannot be written in the format.
        StoreDamaged: A place in the tree is missing.
    """
    if address.what == "checkpoints":
        return await _newest_checkpoint(tx, cursor)
    form, lines, size = FORMATS[address.format], list[Line](), 0
    wanted = (
        select(AuditLeaf.idx, AuditLeaf.leaf, AuditEvent.body, AuditEvent.ts, AuditEvent.type)
        .join(AuditEvent, AuditEvent.event_id == AuditLeaf.event_id)
        .where(AuditLeaf.idx >= cursor, AuditLeaf.idx < cursor + BATCH)
        .order_by(AuditLeaf.idx)
    )
    place = cursor
    async for row in await tx.session.stream(wanted.execution_options(yield_per=_CHUNK)):
        if row.idx != place:
            raise StoreDamaged(f"place {place} of the tree is missing: somebody changed the tables")
        if (line := _line(form, row)) is not None:
            lines.append(line)
            size += len(line.text)
        place += 1
        if size >= BATCH_BYTES:
            break
    return Next(lines, place)


def _line(form: Format, row: Row[int, bytes, str, datetime, str]) -> Line | None:
    try:
        text = form.line(Record.of(row.body, row.leaf, row.idx))
    except Exception as error:
        raise SinkDown(
            f"event {row.idx} ({row.type}) cannot be written as {form.name}: {type(error).__name__}: {error}",
            next_step="report it; meanwhile set the sink to format=jsonl",
        ) from error
    facts = {"idx": str(row.idx), "leaf": row.leaf.hex()}
    return Line(text, row.ts, row.type, facts, is_syslog=form.name in WHOLE_SYSLOG) if text else None


async def _newest_checkpoint(tx: Tx, cursor: int) -> Next:
    newest = select(AuditCheckpoint).where(AuditCheckpoint.id > cursor).order_by(AuditCheckpoint.id.desc()).limit(1)
    found = await tx.session.scalar(newest)
    if found is None:
        return Next((), cursor)
    return Next((checkpoint_line(found),), found.id, found.size)


def checkpoint_line(found: AuditCheckpoint) -> Line:
    """Return a checkpoint as one line of JSON; `note` is the signed text, as `audit verify --checkpoint` takes it."""
    at = found.at.astimezone(UTC)
    text = json.dumps({"at": at.isoformat(), "size": found.size, "note": found.note}, ensure_ascii=False)
    return Line(text, at, "checkpoint", {"size": str(found.size)})


def test_line(name: str, at: datetime) -> Line:
    """Return a line that says of itself that it is a test."""
    text = json.dumps({"test": "Casewright can reach this sink", "sink": name, "at": at.isoformat()})
    return Line(text, at, "sink.test", {})
