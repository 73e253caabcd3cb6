"""A bundle: what somebody needs to check the record, or that of one case, without us. See `verifier` for its format."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from zipfile import ZIP_DEFLATED, ZipFile

from sqlalchemy import Row, Select, select

from case_store.audit import verifier
from case_store.audit.ledger import stream_of
from case_store.audit.merkle import Tree
from case_store.audit.trail import CHUNK, record_export
from case_store.errors import NotSealed
from case_store.models import AuditCheckpoint, AuditEvent, AuditLeaf, Case

if TYPE_CHECKING:
    from case_store.actor import Actor
    from case_store.blobs import Blobs
    from case_store.store import CaseStore, Tx

FORMAT: Final = "casewright-bundle/1"
_LOOK_EVERY: Final = 0.2
_OF_EVIDENCE: Final = '"type":"evidence.'
_HOW_TO: Final = """This bundle can be checked without Casewright, and without trusting whoever made it:

    python verify.py {name} --key audit-log.vkey

verify.py is in the bundle; read it, or write one of your own. The key is not here on purpose: ask for it once, on
another way than this bundle came, and keep it. Ask for a checkpoint now and then, too (casewright audit checkpoint):
with --checkpoint FILE the verifier sees whether what was there then is still there.
"""


@dataclass(frozen=True, slots=True)
class Bundled:
    """What was written: the number of events, of files of evidence, and the size of the tree that is signed."""

    events: int
    evidence: int
    size: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be in a bundle.

    Attributes:
        case: The case; None for the whole record.
        blobs: Where the evidence is; None leaves it out.
        report: Makes the page to read that goes along; its SHA-256 is in the event of the export.
    """

    case: Case | None = None
    blobs: Blobs | None = None
    report: Callable[[Tx], Awaitable[str]] | None = None


@dataclass(frozen=True, slots=True)
class _Contents:
    """What goes into a bundle."""

    case: Case | None
    export: str
    checkpoint: AuditCheckpoint
    page: bytes | None


async def write(
    store: CaseStore,
    out: Path,
    wanted: Wanted,
    *,
    by: Actor,
    at: datetime,
    seal: Callable[[], Awaitable[object]],
    within: float = 10.0,
    request_id: str | None = None,
) -> Bundled:
    """Write a bundle of everything, or of one case; a file that is there is replaced once the new one is whole.

    Args:
        store: The case store.
        out: The zip.
        wanted: What shall be in it.
        by: Who exports.
        at: Now.
        seal: Is called until the export is in the signed tree; does nothing where a relay does it.
        within: Seconds to wait for that.
        request_id: The request that the event names.

    Raises:
        NotSealed: No relay has taken the export into the tree in time.
        OSError: The file cannot be written.
    """
    case, blobs = wanted.case, wanted.blobs
    page = await _page(store, wanted)
    facts = {} if page is None else {"report": sha256(page).hexdigest()}
    export = await record_export(store, case, by=by, at=at, request_id=request_id, facts=facts)
    contents = _Contents(case, export, await _sealed(store, export, seal, within), page)
    part = out.with_name(f".{out.name}.part")
    try:
        with ZipFile(part, "w", ZIP_DEFLATED) as archive:
            async with store.reading() as tx:
                events, evidence = await _write_events(tx, archive, contents)
            if blobs is not None:
                await _write_evidence(archive, evidence, blobs)
            _write_rest(archive, contents, out.name, at, events, with_evidence=blobs is not None)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return Bundled(events, len(evidence) if blobs else 0, contents.checkpoint.size)


async def _page(store: CaseStore, wanted: Wanted) -> bytes | None:
    if wanted.report is None:
        return None
    async with store.reading() as tx:
        return (await wanted.report(tx)).encode()


async def _sealed(
    store: CaseStore, export: str, seal: Callable[[], Awaitable[object]], within: float
) -> AuditCheckpoint:
    """Return a checkpoint that holds the export."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while True:
                await seal()
                if (checkpoint := await _checkpoint_with(store, export)) is not None:
                    return checkpoint
                await asyncio.sleep(_LOOK_EVERY)
    raise NotSealed(f"the export was not taken into the signed tree within {within:g} s")


async def _checkpoint_with(store: CaseStore, export: str) -> AuditCheckpoint | None:
    async with store.reading() as tx:
        place = await tx.session.scalar(select(AuditLeaf.idx).where(AuditLeaf.event_id == export))
        if place is None:
            return None
        newest = select(AuditCheckpoint).where(AuditCheckpoint.size > place).order_by(AuditCheckpoint.id.desc())
        return await tx.session.scalar(newest.limit(1))


async def _write_events(tx: Tx, archive: ZipFile, contents: _Contents) -> tuple[int, set[str]]:
    """Write the events and their proofs; return how many there are, and the digests of the evidence they name."""
    size, case = contents.checkpoint.size, contents.case
    count, places, digests = 0, array("Q"), set[str]()
    with archive.open("events.jsonl", "w", force_zip64=True) as out:
        async for row in _rows(tx, _wanted(case, size)):
            _line(out, row.body)
            count += 1
            if _OF_EVIDENCE in row.body and (digest := verifier.evidence_in(json.loads(row.body))) is not None:
                digests.add(digest)
            if case is not None:
                places.append(row.idx)
                if row.event_id == contents.export:
                    break
    if case is not None:
        tree = Tree(await _leaves(tx, size))
        with archive.open("proofs.jsonl", "w", force_zip64=True) as out:
            for place in places:
                _line(out, json.dumps({"index": place, "path": [one.hex() for one in tree.inclusion_proof(place)]}))
    return count, digests


def _wanted(case: Case | None, size: int) -> Select[int, str, str]:
    joined = select(AuditLeaf.idx, AuditEvent.event_id, AuditEvent.body).join(
        AuditEvent, AuditEvent.event_id == AuditLeaf.event_id
    )
    if case is None:
        return joined.where(AuditLeaf.idx < size).order_by(AuditLeaf.idx)
    return joined.where(AuditLeaf.idx < size, AuditEvent.stream == stream_of(case)).order_by(AuditEvent.id)


async def _rows(tx: Tx, wanted: Select[int, str, str]) -> AsyncIterator[Row[int, str, str]]:
    result = await tx.session.stream(wanted.execution_options(yield_per=CHUNK))
    async for row in result:
        yield row


async def _leaves(tx: Tx, size: int) -> Sequence[bytes]:
    wanted = select(AuditLeaf.leaf).where(AuditLeaf.idx < size).order_by(AuditLeaf.idx)
    return (await tx.session.scalars(wanted)).all()


async def _write_evidence(archive: ZipFile, digests: Iterable[str], blobs: Blobs) -> None:
    for digest in sorted(digests):
        await asyncio.to_thread(archive.write, blobs.path(digest), f"evidence/{digest}")


def _write_rest(
    archive: ZipFile, contents: _Contents, name: str, at: datetime, events: int, *, with_evidence: bool
) -> None:
    case = contents.case
    manifest = {
        "format": FORMAT,
        "scope": "case" if case else "all",
        "case": case.number if case else None,
        "stream": stream_of(case) if case else None,
        "events": events,
        "export": contents.export,
        "with_evidence": with_evidence,
        "at": at.isoformat(),
    }
    archive.writestr("manifest.json", json.dumps(manifest, indent=1) + "\n")
    archive.writestr("checkpoint.txt", contents.checkpoint.note)
    archive.writestr("verify.py", Path(verifier.__file__).read_bytes())
    if contents.page is not None:
        archive.writestr("report.html", contents.page)
    archive.writestr("README.txt", _HOW_TO.format(name=name))


def _line(out: IO[bytes], text: str) -> None:
    out.write(text.encode())
    out.write(b"\n")
