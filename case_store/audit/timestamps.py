"""Time stamps of others: an authority says when the log was what a checkpoint tells (RFC 3161).

What is stamped is the SHA-256 of a checkpoint as the log signed it, without the lines of witnesses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, VerificationError, VerifierBuilder
from rfc3161_client import decode_timestamp_response as decode
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from case_store.audit.trail import newest_checkpoint
from case_store.errors import TimestampSettingRefused
from case_store.models import AuditCheckpoint, AuditTimestamp, Base

if TYPE_CHECKING:
    from rfc3161_client import TimeStampRequest, TimeStampResponse

    from case_store.store import Tx

_TIMESTAMPS: Final = Base.metadata.tables[AuditTimestamp.__tablename__]
_SHA256: Final = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_GRANTED: Final = frozenset({0, 1})


class TimestampRefused(ValueError):
    """An answer is not the time stamp that was asked for."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A time-stamping authority: where it is asked, and what its certificate must lead to (nothing: anywhere)."""

    url: str
    roots: tuple[x509.Certificate, ...] = ()

    @classmethod
    def configured(cls, url: str | None, ca_file: Path | None) -> Authority | None:
        """Return the authority of the settings; None when there is none.

        Raises:
            TimestampSettingRefused: They name none that can be asked.
        """
        if url is None:
            return None
        if not url.startswith(("http://", "https://")) or len(url) > 300:  # noqa: PLR2004
            raise TimestampSettingRefused(f"CASEWRIGHT_TIMESTAMP_URL: {url[:80]!r} is no URL that begins with http")
        if ca_file is None:
            return cls(url)
        try:
            return cls(url, tuple(x509.load_pem_x509_certificates(ca_file.read_bytes())))
        except (OSError, ValueError) as error:
            raise TimestampSettingRefused(f"CASEWRIGHT_TIMESTAMP_CA_FILE, {ca_file}: {error}") from error


def request_for(note: str) -> TimeStampRequest:
    """Return what to ask for a checkpoint."""
    return TimestampRequestBuilder(note.encode(), HashAlgorithm.SHA256).build()


def read(answer: bytes, asked: TimeStampRequest, note: str, authority: Authority) -> datetime:
    """Return the time that an answer says.

    Raises:
        TimestampRefused: It says nothing of this checkpoint, or not to this request, or is signed by somebody else.
    """
    try:
        told = decode(answer)
        if told.status not in _GRANTED:
            raise TimestampRefused(
                f"the authority refuses: status {told.status} {' '.join(told.status_string)}".strip()
            )
        _require_ours(told, asked, note)
        if authority.roots:
            verifier = VerifierBuilder(roots=list(authority.roots), nonce=asked.nonce).build()
            verifier.verify_message(told, note.encode())
    except VerificationError as error:
        raise TimestampRefused(f"its signature does not lead to the certificates we trust: {error}") from error
    except ValueError as error:
        if isinstance(error, TimestampRefused):
            raise
        raise TimestampRefused(f"it is no answer of a time-stamping authority: {error}") from error
    return told.tst_info.gen_time.astimezone(UTC)


def _require_ours(told: TimeStampResponse, asked: TimeStampRequest, note: str) -> None:
    imprint = told.tst_info.message_imprint
    if imprint.hash_algorithm != _SHA256 or imprint.message != sha256(note.encode()).digest():
        raise TimestampRefused("it stamps something else than the checkpoint")
    if told.tst_info.nonce != asked.nonce:
        raise TimestampRefused("it is the answer to another request")


async def due(tx: Tx, at: datetime, every: timedelta) -> AuditCheckpoint | None:
    """Return the checkpoint to have stamped now: the newest, if the log has grown and the last stamp is old enough.

    That of an empty log says nothing, and is left out.
    """
    newest = await newest_checkpoint(tx)
    last = await newest_of(tx)
    if newest is None or newest.size == 0:
        return None
    if last is None:
        return newest
    stamped, size = last
    # A clock that went back must not put off the next one for good.
    recent = timedelta() <= at - stamped.at < every
    return None if recent or size >= newest.size else newest


async def newest_of(tx: Tx, *, up_to: int | None = None) -> tuple[AuditTimestamp, int] | None:
    """Return the newest time stamp, of at most `up_to` events, and of how many it is; None if there is none."""
    wanted = (
        select(AuditTimestamp, AuditCheckpoint.size)
        .join(AuditCheckpoint, AuditCheckpoint.id == AuditTimestamp.checkpoint_id)
        .order_by(AuditTimestamp.checkpoint_id.desc())
        .limit(1)
    )
    row = (await tx.session.execute(wanted if up_to is None else wanted.where(AuditCheckpoint.size <= up_to))).first()
    return None if row is None else (row[0], row[1])


async def keep(tx: Tx, checkpoint: AuditCheckpoint, authority: Authority, answer: bytes, at: datetime) -> None:
    """Keep an answer that `read` has accepted; two relays may bring one each, and the first is kept."""
    known = select(AuditTimestamp.checkpoint_id).where(AuditTimestamp.checkpoint_id == checkpoint.id)
    if await tx.session.scalar(known) is None:
        dialect = postgresql if tx.session.get_bind().dialect.name == "postgresql" else sqlite
        values = {"checkpoint_id": checkpoint.id, "authority": authority.url, "at": at, "response": answer}
        await tx.session.execute(dialect.insert(_TIMESTAMPS).values(values).on_conflict_do_nothing())
