"""The files in a bundle, each written from the database as a stream. See `verifier` for their format."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from zipfile import ZipFile

from sqlalchemy import Row, Select, func, select

from case_store.audit import log_keys, succession, timestamps, verifier
from case_store.audit.exports import CHUNK, Begun
from case_store.audit.ledger import stream_of
from case_store.audit.nodes import Prover
from case_store.models import AuditCheckpoint, AuditCosignature, AuditEvent, AuditLeaf, AuditPrivate, Case

if TYPE_CHECKING:
    from case_store.blobs import Blobs
    from case_store.store import Tx

FORMAT: Final = "casewright-bundle/1"
_PIECE: Final = 2**20
_OF_EVIDENCE: Final = '"type":"evidence.'
_OF_ERASURE: Final = '"type":"privacy.erased"'
_HOW_TO: Final = """This bundle can be checked without Casewright, and without trusting whoever made it:

    python verify.py {name} --key audit-log.vkey

verify.py is in the bundle; read it, or write one of your own. The key is not here on purpose: ask for it once, on
another way than this bundle came, and keep it. Ask for a checkpoint now and then, too (casewright audit checkpoint):
with --checkpoint FILE the verifier sees whether what was there then is still there.
"""


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into a bundle; `wrote` is called with the name of each kind of thing, whenever one is written."""

    case: Case | None
    begun: Begun
    page: bytes | None
    checkpoint: AuditCheckpoint
    confirmed: tuple[AuditCosignature, ...]
    wrote: Callable[[str], object]


@dataclass(slots=True)
class Written:
    """What was written: the number of events, and what they say of evidence, by its digests."""

    events: int = 0
    evidence: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)

    def learn(self, body: str) -> None:
        """Take note of the evidence that an event tells of."""
        self.events += 1
        if _OF_EVIDENCE in body and (digest := verifier.evidence_in(json.loads(body))) is not None:
            self.evidence.add(digest)
        if _OF_ERASURE in body and (digest := json.loads(body)["facts"].get("sha256")):
            self.erased.add(digest)


@dataclass(frozen=True, slots=True)
class Files:
    """The evidence by its digests: what is in the bundle, what should be and is not on the disk, what is another."""

    written: int = 0
    missing: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()


async def write_keys(tx: Tx, archive: ZipFile, checkpoint: AuditCheckpoint) -> None:
    """Write the statements that lead from the log's first key to the one that signed the checkpoint."""
    if statements := await log_keys.statements(tx, until_signer_of=checkpoint.note):
        archive.writestr("keys.txt", succession.joined(statements))


async def write_timestamp(tx: Tx, archive: ZipFile, checkpoint: AuditCheckpoint) -> None:
    """Write the newest time stamp, what it stamps, and the proof that the checkpoint's tree begins with that."""
    newest = await timestamps.newest_of(tx, up_to=checkpoint.size)
    if newest is None:
        return
    stamp, size = newest
    stamped = await tx.session.get_one(AuditCheckpoint, stamp.checkpoint_id)
    path = await Prover(tx).consistency(size, checkpoint.size)
    archive.writestr("timestamp.txt", stamped.note)
    archive.writestr("timestamp.tsr", stamp.response)
    archive.writestr("timestamp-proof.json", json.dumps([one.hex() for one in path]) + "\n")


async def write_events(tx: Tx, archive: ZipFile, contents: Contents) -> Written:
    """Write the events and their proofs."""
    size, case = contents.checkpoint.size, contents.case
    written, places = Written(), array("Q")
    with archive.open("events.jsonl", "w", force_zip64=True) as out:
        async for row in _rows(tx, _wanted(case, size)):
            _line(out, row.body)
            written.learn(row.body)
            contents.wrote("events")
            if case is not None:
                places.append(row.idx)
                if row.event_id == contents.begun.event_id:
                    break
    if case is not None:
        prover = Prover(tx)
        with archive.open("proofs.jsonl", "w", force_zip64=True) as out:
            for place in places:
                path = await prover.inclusion(place, size)
                _line(out, json.dumps({"index": place, "path": [one.hex() for one in path]}))
                contents.wrote("proofs")
    return written


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


async def count_disclosures(tx: Tx, case: Case | None) -> int:
    """Return how many personal values are disclosed now, in everything or in a case."""
    wanted = select(func.count()).select_from(AuditPrivate)
    if case is not None:
        wanted = wanted.join(AuditEvent, AuditEvent.event_id == AuditPrivate.event_id)
        wanted = wanted.where(AuditEvent.stream == stream_of(case))
    return await tx.session.scalar(wanted) or 0


async def write_disclosures(tx: Tx, archive: ZipFile, contents: Contents) -> int:
    """Write what is disclosed of the events, in their order; return how many that are of events before the export."""
    case, last, before = contents.case, contents.begun.last, 0
    joined = (
        select(AuditEvent.id, AuditPrivate.event_id, AuditPrivate.disclosure)
        .join(AuditLeaf, AuditLeaf.event_id == AuditPrivate.event_id)
        .join(AuditEvent, AuditEvent.event_id == AuditPrivate.event_id)
        .where(AuditLeaf.idx < contents.checkpoint.size)
    )
    if case is None:
        wanted = joined.order_by(AuditLeaf.idx, AuditPrivate.pointer)
    else:
        of_case = joined.where(AuditEvent.stream == stream_of(case), AuditEvent.id <= last)
        wanted = of_case.order_by(AuditEvent.id, AuditPrivate.pointer)
    with archive.open("disclosures.jsonl", "w", force_zip64=True) as out:
        async for row in await tx.session.stream(wanted.execution_options(yield_per=CHUNK)):
            _line(out, json.dumps({"event_id": row.event_id, "disclosure": row.disclosure}))
            before += row.id <= last
            contents.wrote("personal values")
    return before


async def write_evidence(
    archive: ZipFile, wanted: Iterable[str], blobs: Blobs, wrote: Callable[[str], object]
) -> Files:
    """Write the files with these digests, and see whether they still have them."""
    written, missing, altered = 0, list[str](), list[str]()
    for digest in sorted(wanted):
        found = await asyncio.to_thread(_copy, blobs.path(digest), archive, f"evidence/{digest}")
        written += found is not None
        if found is None:
            missing.append(digest)
        elif found != digest:
            altered.append(digest)
        wrote("files of evidence")
    return Files(written, tuple(missing), tuple(altered))


def _copy(path: Path, archive: ZipFile, name: str) -> str | None:
    """Write a file into the zip and return its SHA-256; None if it cannot be opened."""
    try:
        source = path.open("rb")
    except OSError:
        return None
    digest = sha256()
    with source, archive.open(name, "w", force_zip64=True) as out:
        while piece := source.read(_PIECE):
            digest.update(piece)
            out.write(piece)
    return digest.hexdigest()


def write_rest(
    archive: ZipFile, contents: Contents, name: str, at: datetime, events: int, *, with_evidence: bool
) -> None:
    """Write what says what this is, the checkpoint, the report and the verifier."""
    case = contents.case
    manifest = {
        "format": FORMAT,
        "scope": "case" if case else "all",
        "case": case.number if case else None,
        "stream": stream_of(case) if case else None,
        "events": events,
        "export": contents.begun.event_id,
        "with_evidence": with_evidence,
        "with_personal": "disclosures.jsonl" in archive.namelist(),
        "at": at.isoformat(),
    }
    archive.writestr("manifest.json", json.dumps(manifest, indent=1) + "\n")
    lines = "".join(one.line for one in contents.confirmed)
    archive.writestr("checkpoint.txt", contents.checkpoint.note + lines)
    archive.writestr("verify.py", Path(verifier.__file__).read_bytes())
    if contents.page is not None:
        archive.writestr("report.html", contents.page)
    archive.writestr("README.txt", _HOW_TO.format(name=name))


def _line(out: IO[bytes], text: str) -> None:
    out.write(text.encode())
    out.write(b"\n")
