"""The audit trail: events, their order in each stream, and the tree over all of them."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from case_store.models.base import ID_LENGTH, Base, UtcDateTime, WrittenOnce

VKEY_LENGTH = 300  # a name of at most 200 characters, and the key


class AuditEvent(WrittenOnce, Base):
    """One thing that happened. `body` is the record; the other columns are copies for searching.

    `entity_version` is the version of the row that this event made, and None when the event changed no row. So a
    version of a row has exactly one event. `seq` counts the events of a stream from 1 without a gap; `leaf` is the hash
    of the body as a leaf of the tree. Events of schema version 1 have neither: they are older than both.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        UniqueConstraint("entity_id", "entity_version"),
        Index(None, "stream", "id"),
        Index(None, "entity_type", "entity_id", "id"),
        Index(None, "ts"),
        Index(None, "actor_id", "ts"),
        Index(None, "type", "ts"),
        Index(None, "stream", "seq", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), Identity(always=True), primary_key=True
    )
    event_id: Mapped[str] = mapped_column(String(ID_LENGTH), unique=True)
    stream: Mapped[str] = mapped_column(String(80))
    ts: Mapped[datetime] = mapped_column(UtcDateTime)
    type: Mapped[str] = mapped_column(String(80))
    entity_type: Mapped[str | None] = mapped_column(String(40))
    entity_id: Mapped[str | None] = mapped_column(String(80))
    entity_version: Mapped[int | None] = mapped_column(BigInteger)
    actor_kind: Mapped[str] = mapped_column(String(20))
    actor_id: Mapped[str] = mapped_column(String(100))
    request_id: Mapped[str] = mapped_column(String(100))
    schema_v: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[str] = mapped_column(Text)
    seq: Mapped[int | None] = mapped_column(BigInteger)
    leaf: Mapped[bytes | None] = mapped_column(LargeBinary(32))


class AuditStream(Base):
    """Where a stream stands: how many events it has, and the leaf hash of the last one. Rows change with each event."""

    __tablename__ = "audit_streams"

    stream: Mapped[str] = mapped_column(String(80), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    head: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditPending(Base):
    """An event that is not in the tree yet; the sequencer takes the row away when it is."""

    __tablename__ = "audit_pending"

    event_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)


class AuditLeaf(WrittenOnce, Base):
    """The place of an event in the tree; places are counted from 0 without a gap."""

    __tablename__ = "audit_leaves"

    idx: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[str] = mapped_column(String(ID_LENGTH), unique=True)
    leaf: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditNode(WrittenOnce, Base):
    """The root of a complete subtree: of 256 leaves (level 1), of 65,536 (level 2), and so on; for proofs."""

    __tablename__ = "audit_nodes"

    level: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    idx: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditTree(Base):
    """How far the tree has grown: one row. `peaks` are the roots of its complete subtrees, 32 bytes each."""

    __tablename__ = "audit_tree"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    peaks: Mapped[bytes] = mapped_column(LargeBinary)


class AuditCheckpoint(WrittenOnce, Base):
    """What the log has signed about itself; `note` is the whole signed text."""

    __tablename__ = "audit_checkpoints"
    __table_args__ = (Index(None, "size"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), Identity(always=True), primary_key=True
    )
    size: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(Text)


class AuditCosignature(WrittenOnce, Base):
    """A witness's confirmation of a checkpoint: its line, and the time it says. `witness` is its public key."""

    __tablename__ = "audit_cosignatures"

    checkpoint_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    witness: Mapped[str] = mapped_column(String(VKEY_LENGTH), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    line: Mapped[str] = mapped_column(Text)


class AuditTimestamp(WrittenOnce, Base):
    """What a time-stamping authority says about a checkpoint: its whole answer (RFC 3161), and the time it says."""

    __tablename__ = "audit_timestamps"

    checkpoint_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    authority: Mapped[str] = mapped_column(String(300))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    response: Mapped[bytes] = mapped_column(LargeBinary)


class AuditKey(WrittenOnce, Base):
    """A public key of the log, counted from 1; the last one signs. `statement` is with what the one before named it."""

    __tablename__ = "audit_keys"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    vkey: Mapped[str] = mapped_column(String(VKEY_LENGTH), unique=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    statement: Mapped[str | None] = mapped_column(Text)


class AuditSink(Base):
    """How far a sink outside is. Not audited row by row: what people change of it has its event in the system's stream.

    `cursor` is the place of the next event to deliver; for checkpoints, the id of the last one delivered. `size` is how
    many events the last checkpoint held that was delivered. A sink that left the settings keeps its row and cursor.
    """

    __tablename__ = "audit_sinks"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    fingerprint: Mapped[str] = mapped_column(String(64))
    cursor: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int | None] = mapped_column(BigInteger)
    last_ok_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(Text)
    failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    token: Mapped[str | None] = mapped_column(String(100))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AuditPrivate(Base):
    """The disclosure of a personal value that an event holds a commitment to: the only audit table that forgets.

    `about_type` and `about_id` name the row whose erasure takes it away.
    """

    __tablename__ = "audit_private"
    __table_args__ = (Index(None, "about_type", "about_id"),)

    event_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    pointer: Mapped[str] = mapped_column(String(200), primary_key=True)
    disclosure: Mapped[str] = mapped_column(Text)
    about_type: Mapped[str] = mapped_column(String(40))
    about_id: Mapped[str] = mapped_column(String(80))
