"""A bundle: what somebody needs to check the record, or that of one case, without us. See `verifier` for its format."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from errno import EISDIR
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zipfile import ZIP_DEFLATED, ZipFile

from sqlalchemy import Select, select

from case_store import durable
from case_store.audit import bundle_files, exports, verifier, witnesses
from case_store.audit.bundle_files import Contents, Files
from case_store.audit.checkpoints import VerifierKey
from case_store.audit.exports import Begun, Selection
from case_store.errors import ClocksDiffer, ErasedMeanwhile, NotSealed
from case_store.models import AuditCheckpoint, AuditCosignature, AuditLeaf, Case

if TYPE_CHECKING:
    from case_store.actor import Actor
    from case_store.blobs import Blobs
    from case_store.store import CaseStore, Tx

_LOOK_EVERY: Final = 0.2


@dataclass(frozen=True, slots=True)
class Bundled:
    """What was written: the number of events, the files of evidence, and the size of the tree that is signed.

    `unwitnessed` names the witnesses that have not confirmed its checkpoint.
    """

    events: int
    evidence: Files
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
    wrote: Callable[[str], object] = lambda _what: None,
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
        wrote: Is called with the name of each kind of thing, whenever one is written.

    Raises:
        NotSealed: No relay has taken the export into the tree in time.
        ClocksDiffer: The checkpoint that holds it is of quite another time than `at`.
        ErasedMeanwhile: Personal values that the export was to disclose are gone.
        OSError: The file cannot be written; if that shows at once, nothing is on record.
    """
    with _new_zip(out) as archive:
        page = await _page(store, wanted)
        begun, told = await _begin(store, wanted, page, by=by, at=at, request_id=request_id)
        checkpoint = await _sealed(store, begun.event_id, seal, wait.seconds)
        confirmed = await _witnessed(store, begun.event_id, checkpoint, wait)
        contents = Contents(wanted.case, begun, page, *confirmed, wrote)
        _require_same_time(contents.checkpoint, at)
        async with store.reading() as tx:
            written = await bundle_files.write_events(tx, archive, contents)
            await bundle_files.write_keys(tx, archive, contents.checkpoint)
            await bundle_files.write_timestamp(tx, archive, contents.checkpoint)
            if wanted.personal and await bundle_files.write_disclosures(tx, archive, contents) != told:
                raise ErasedMeanwhile
        files = Files()
        if wanted.blobs is not None:
            there = written.evidence - written.erased
            files = await bundle_files.write_evidence(archive, there, wanted.blobs, wrote)
        with_evidence = wanted.blobs is not None
        bundle_files.write_rest(archive, contents, out.name, at, written.events, with_evidence=with_evidence)
    by_whom = {one.witness for one in contents.confirmed}
    unwitnessed = tuple(key.name for key in wait.witnesses if str(key) not in by_whom)
    return Bundled(written.events, files, contents.checkpoint.size, unwitnessed)


@contextmanager
def _new_zip(out: Path) -> Iterator[ZipFile]:
    """Give a zip beside `out`, for its owner's eyes, that takes its place once it is whole."""
    if out.is_dir():
        raise IsADirectoryError(EISDIR, "it is a folder", str(out))
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            with ZipFile(file, "w", ZIP_DEFLATED) as archive:
                yield archive
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
        durable.sync_folder(out.parent)
    finally:
        part.unlink(missing_ok=True)


async def _begin(
    store: CaseStore, wanted: Wanted, page: bytes | None, *, by: Actor, at: datetime, request_id: str | None
) -> tuple[Begun, int]:
    """Put the export on record with what it takes along; return also how many personal values that are."""
    told: dict[str, object] = {} if page is None else {"report": sha256(page).hexdigest()}

    async def take(tx: Tx) -> dict[str, object]:
        told.update(await _told(tx, wanted))
        return told

    selection = Selection(case=wanted.case)
    begun = await exports.begin(store, selection, "bundle", by=by, at=at, request_id=request_id, facts=take)
    return begun, int(str(told.get("disclosures", 0)))


async def _told(tx: Tx, wanted: Wanted) -> dict[str, object]:
    """Return what the event says that the bundle takes along; a verifier believes nobody else."""
    told: dict[str, object] = {"evidence": wanted.blobs is not None, "personal": wanted.personal}
    if wanted.personal:
        told["disclosures"] = await bundle_files.count_disclosures(tx, wanted.case)
    return told


def _require_same_time(checkpoint: AuditCheckpoint, at: datetime) -> None:
    if abs(checkpoint.at - at) > verifier.FARTHEST_APART:
        raise ClocksDiffer(
            f"it is {at:%Y-%m-%d %H:%M} UTC here, and its checkpoint is of {checkpoint.at:%Y-%m-%d %H:%M}"
        )


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
