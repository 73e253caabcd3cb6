"""The witnesses of our own log: which there are, what to ask them, and what they have confirmed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from case_store.audit.checkpoints import COSIGNATURE, NoteRefused, VerifierKey, witnessed
from case_store.audit.nodes import Prover
from case_store.audit.witness import Request
from case_store.errors import WitnessSettingRefused
from case_store.models import AuditCheckpoint, AuditCosignature, AuditTree, Base

if TYPE_CHECKING:
    from case_store.actor import Actor
    from case_store.store import Tx

_COSIGNATURES: Final = Base.metadata.tables[AuditCosignature.__tablename__]


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness: where it is asked, and its public key."""

    url: str
    key: VerifierKey

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an entry of CASEWRIGHT_WITNESSES: URL and public key.

        Raises:
            WitnessSettingRefused: It is none.
        """
        url, _, vkey = text.strip().partition(" ")
        try:
            key = VerifierKey.parse(vkey)
        except NoteRefused as error:
            raise WitnessSettingRefused(f"CASEWRIGHT_WITNESSES, {url}: {error}") from error
        if not url.startswith(("http://", "https://")):
            raise WitnessSettingRefused(f"CASEWRIGHT_WITNESSES: {url!r} is no URL that begins with http or https")
        if key.algorithm != COSIGNATURE:
            raise WitnessSettingRefused(f"CASEWRIGHT_WITNESSES, {url}: this is the key of a log, not of a witness")
        return cls(url.rstrip("/"), key)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a witness has confirmed last: a checkpoint of so many events, at this time of its own."""

    checkpoint_id: int
    size: int
    at: datetime


def parse_all(entries: Iterable[str]) -> list[Witness]:
    """Read all entries of the setting.

    Raises:
        WitnessSettingRefused: One of them is none.
    """
    return [Witness.parse(entry) for entry in entries]


async def last_confirmed(tx: Tx, key: VerifierKey) -> Confirmed | None:
    """Return what a witness has confirmed last; None if nothing yet."""
    wanted = (
        select(AuditCosignature.checkpoint_id, AuditCheckpoint.size, AuditCosignature.at)
        .join(AuditCheckpoint, AuditCheckpoint.id == AuditCosignature.checkpoint_id)
        .where(AuditCosignature.witness == str(key))
        .order_by(AuditCosignature.checkpoint_id.desc())
        .limit(1)
    )
    row = (await tx.session.execute(wanted)).first()
    return None if row is None else Confirmed(row.checkpoint_id, row.size, row.at)


async def request(tx: Tx, checkpoint: AuditCheckpoint, old: int) -> Request | None:
    """Return what to ask a witness that confirmed `old` events last; None if the checkpoint is older than that."""
    if old > checkpoint.size:
        return None
    return Request(old, tuple(await Prover(tx).consistency(old, checkpoint.size)), checkpoint.note)


async def tree_size(tx: Tx) -> int:
    """Return how many events the tree holds."""
    return await tx.session.scalar(select(AuditTree.size)) or 0


async def keep(tx: Tx, checkpoint: AuditCheckpoint, key: VerifierKey, answer: str) -> None:
    """Keep a witness's confirmation of a checkpoint, if that is what the answer is; two relays may bring the same.

    Raises:
        NoteRefused: It is none.
    """
    at = witnessed(checkpoint.note + answer, key)
    own = [line for line in answer.splitlines() if line.startswith(f"\N{EM DASH} {key.name} ")]
    line = next(one for one in own if _confirms(checkpoint.note, f"{one}\n", key))
    dialect = postgresql if tx.session.get_bind().dialect.name == "postgresql" else sqlite
    values = {
        "checkpoint_id": checkpoint.id,
        "witness": str(key),
        "at": datetime.fromtimestamp(at, UTC),
        "line": f"{line}\n",
    }
    known = select(AuditCosignature.line).where(
        AuditCosignature.checkpoint_id == checkpoint.id, AuditCosignature.witness == str(key)
    )
    if await tx.session.scalar(known) is None:
        await tx.session.execute(dialect.insert(_COSIGNATURES).values(values).on_conflict_do_nothing())


async def cosignatures(tx: Tx, checkpoint_id: int) -> Sequence[AuditCosignature]:
    """Return the confirmations of a checkpoint."""
    of_checkpoint = select(AuditCosignature).where(AuditCosignature.checkpoint_id == checkpoint_id)
    return (await tx.session.scalars(of_checkpoint.order_by(AuditCosignature.witness))).all()


def record_contradiction(tx: Tx, witness: Witness, what: str, *, size: int, by: Actor, at: datetime) -> None:
    """Put on record that a witness does not recognise our log: somebody changed it, here or there."""
    facts = {"witness": str(witness.key), "what": what, "size": size}
    tx.record("audit.contradicted", None, by=by, at=at, facts=facts)


def _confirms(note: str, line: str, key: VerifierKey) -> bool:
    try:
        witnessed(note + line, key)
    except NoteRefused:
        return False
    return True
