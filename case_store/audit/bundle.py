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

from case_store.audit import exports, log_keys, succession, timestamps, verifier, witnesses
from case_store.audit.checkpoints import VerifierKey
from case_store.audit.exports import CHUNK, Selection
from case_store.audit.ledger import stream_of
from case_store.audit.nodes import Prover
from case_store.errors import NotSealed
from case_store.models import AuditCheckpoint, AuditCosignature, AuditEvent, AuditLeaf, AuditPrivate, Case

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
    """What was written: the number of events, of files of evidence, and the size of the tree that is signed.

    `unwitnessed` names the witnesses that have not confirmed its checkpoint.
    """

    events: int
    evidence: int
    size: int
    unwitnessed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """How many seconds to wait for a checkpoint that holds the export, and as many again until witnesses confirm it.

    Without them in time the bundle is written all the same, and says so.
    """

    seconds: float = 10.0
    witnesses: tuple[VerifierKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be in a bundle.

    Attributes:
        case: The case; None for the whole record.
        blobs: Where the evidence is; None leaves it out.
        report: Makes the page to read that goes along; its SHA-256 is in the event of the export.
        personal: With the disclosures of personal values.
    """

    case: Case | None = None
    blobs: Blobs | None = None
    report: Callable[[Tx], Awaitable[str]] | None = None
    personal: bool = True


@dataclass(frozen=True, slots=True)
class _Contents:
    """What goes into a bundle."""

    case: Case | None
    export: str
    page: bytes | None
    checkpoint: AuditCheckpoint
    confirmed: tuple[AuditCosignature, ...]


async def write(
    store: CaseStore,
    out: Path,
    wanted: Wanted,
    *,
    by: Actor,
    at: datetime,
    seal: Callable[[], Awaitable[object]],
    wait: Wait = Wait(),
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
        wait: How long to wait for that, and for whom else.
        request_id: The request that the event names.

    Raises:
        NotSealed: No relay has taken the export into the tree in time.
        OSError: The file cannot be written.
    """
    case, blobs = wanted.case, wanted.blobs
    page = await _page(store, wanted)
    facts = {} if page is None else {"report": sha256(page).hexdigest()}
    selection = Selection(case=case)
    begun = await exports.begin(store, selection, "bundle", by=by, at=at, request_id=request_id, facts=facts)
    export = begun.event_id
    checkpoint = await _sealed(store, export, seal, wait.seconds)
    contents = _Contents(case, export, page, *await _witnessed(store, export, checkpoint, wait))
    part = out.with_name(f".{out.name}.part")
    try:
        with ZipFile(part, "w", ZIP_DEFLATED) as archive:
            async with store.reading() as tx:
                events, evidence = await _write_events(tx, archive, contents)
                await _write_keys(tx, archive, contents.checkpoint)
                await _write_timestamp(tx, archive, contents.checkpoint)
                if wanted.personal:
                    await _write_disclosures(tx, archive, contents)
            if blobs is not None:
                await _write_evidence(archive, evidence, blobs)
            _write_rest(archive, contents, out.name, at, events, with_evidence=blobs is not None)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    confirmed = {one.witness for one in contents.confirmed}
    unwitnessed = tuple(key.name for key in wait.witnesses if str(key) not in confirmed)
    return Bundled(events, len(evidence) if blobs else 0, contents.checkpoint.size, unwitnessed)


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
        return await tx.session.scalar(_holding(export).limit(1))


def _holding(export: str) -> Select[AuditCheckpoint]:
    """Return the query for checkpoints that hold the export, the newest first."""
    place = select(AuditLeaf.idx).where(AuditLeaf.event_id == export).scalar_subquery()
    return select(AuditCheckpoint).where(AuditCheckpoint.size > place).order_by(AuditCheckpoint.id.desc())


async def _witnessed(
    store: CaseStore, export: str, sealed: AuditCheckpoint, wait: Wait
) -> tuple[AuditCheckpoint, tuple[AuditCosignature, ...]]:
    """Return a checkpoint that holds the export and that all witnesses have confirmed; else the one at hand."""
    with suppress(TimeoutError):
        async with asyncio.timeout(wait.seconds):
            while wait.witnesses:
                if (found := await _confirmed_by_all(store, export, wait.witnesses)) is not None:
                    return found
                await asyncio.sleep(_LOOK_EVERY)
    async with store.reading() as tx:
        return sealed, tuple(await witnesses.cosignatures(tx, sealed.id))


async def _confirmed_by_all(
    store: CaseStore, export: str, wanted: Sequence[VerifierKey]
) -> tuple[AuditCheckpoint, tuple[AuditCosignature, ...]] | None:
    confirmed = select(AuditCosignature.checkpoint_id)
    holding = _holding(export)
    for key in wanted:
        holding = holding.where(AuditCheckpoint.id.in_(confirmed.where(AuditCosignature.witness == str(key))))
    async with store.reading() as tx:
        checkpoint = await tx.session.scalar(holding.limit(1))
        if checkpoint is None:
            return None
        return checkpoint, tuple(await witnesses.cosignatures(tx, checkpoint.id))


async def _write_keys(tx: Tx, archive: ZipFile, checkpoint: AuditCheckpoint) -> None:
    """Write the statements that lead from the log's first key to the one that signed the checkpoint."""
    if statements := await log_keys.statements(tx, until_signer_of=checkpoint.note):
        archive.writestr("keys.txt", succession.joined(statements))


async def _write_timestamp(tx: Tx, archive: ZipFile, checkpoint: AuditCheckpoint) -> None:
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
        prover = Prover(tx)
        with archive.open("proofs.jsonl", "w", force_zip64=True) as out:
            for place in places:
                path = await prover.inclusion(place, size)
                _line(out, json.dumps({"index": place, "path": [one.hex() for one in path]}))
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


async def _write_disclosures(tx: Tx, archive: ZipFile, contents: _Contents) -> None:
    """Write what is disclosed of the events, in the order of the events."""
    size, case = contents.checkpoint.size, contents.case
    joined = (
        select(AuditPrivate.event_id, AuditPrivate.disclosure)
        .join(AuditLeaf, AuditLeaf.event_id == AuditPrivate.event_id)
        .join(AuditEvent, AuditEvent.event_id == AuditPrivate.event_id)
        .where(AuditLeaf.idx < size)
    )
    if case is None:
        wanted = joined.order_by(AuditLeaf.idx, AuditPrivate.pointer)
    else:
        last = select(AuditEvent.id).where(AuditEvent.event_id == contents.export).scalar_subquery()
        of_case = joined.where(AuditEvent.stream == stream_of(case), AuditEvent.id <= last)
        wanted = of_case.order_by(AuditEvent.id, AuditPrivate.pointer)
    with archive.open("disclosures.jsonl", "w", force_zip64=True) as out:
        async for row in await tx.session.stream(wanted.execution_options(yield_per=CHUNK)):
            _line(out, json.dumps({"event_id": row.event_id, "disclosure": row.disclosure}))


async def _write_evidence(archive: ZipFile, digests: Iterable[str], blobs: Blobs) -> None:
    for digest in sorted(digests):
        with suppress(FileNotFoundError):  # erased; the verifier knows by the events whether it should be there
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
