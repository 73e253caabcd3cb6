"""What the engine notes for itself. Not audited: it can be rebuilt, or its events say it."""

from datetime import datetime
from typing import Literal

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from case_store.ids import new_id
from case_store.models.base import ID_LENGTH, Base, JsonColumn, JsonMap, UtcDateTime, one_of, reference

OutboxState = Literal["pending", "leased", "sent", "dead", "unknown", "delivered", "cancelled"]
OUTBOX_STATES: tuple[OutboxState, ...] = ("pending", "leased", "sent", "dead", "unknown", "delivered", "cancelled")


class Counter(Base):
    """The last number given out, by name."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger, default=0)


class CaseRun(Base):
    """Which flow run carries out a case, and how far it has read the decisions."""

    __tablename__ = "case_runs"
    __table_args__ = (Index(None, "signal_at"),)

    case_id: Mapped[str] = reference("cases", primary_key=True)
    flow_run_id: Mapped[str | None] = mapped_column(String(100))
    generation: Mapped[int] = mapped_column(BigInteger, default=0)
    advanced_generation: Mapped[int] = mapped_column(BigInteger, default=0)
    # When the relay should look at this case again; None: never signalled.
    signal_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    pass_token: Mapped[str | None] = mapped_column(String(100))
    pass_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Question(Base):
    """A form that waits for a person in the engine's own interface."""

    __tablename__ = "questions"

    task_id: Mapped[str] = reference("tasks", primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    flow_run_id: Mapped[str] = mapped_column(String(100), index=True)
    # Why it is asked again; None at the first time.
    reason: Mapped[str | None] = mapped_column(Text)
    # Why the answer to this form was not taken; the next one tells it as its reason.
    refusal: Mapped[str | None] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Which parameters the form shows: their SHA-256; None where there are none, or the form is older than this.
    parameters_sha256: Mapped[str | None] = mapped_column(String(64))


class OutboxEntry(Base):
    """A message that was promised in a transaction and is sent after it."""

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint(one_of("state", OUTBOX_STATES), name="state"),
        Index(None, "state", "next_at"),
        Index(None, "channel", "state", "next_at"),
        Index(None, "recipient_id", "channel", "tried_at"),
        Index(None, "provider_ref"),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=new_id)
    dedup_key: Mapped[str] = mapped_column(String(300), unique=True)
    case_id: Mapped[str | None] = reference("cases", index=True)
    task_id: Mapped[str | None] = reference("tasks")
    channel: Mapped[str] = mapped_column(String(40))
    recipient_id: Mapped[str] = reference("people")
    template: Mapped[str] = mapped_column(String(100))
    context: Mapped[JsonMap] = mapped_column(JsonColumn, default=dict)
    state: Mapped[OutboxState] = mapped_column(String(20), default="pending")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    token: Mapped[str | None] = mapped_column(String(100))
    not_after: Mapped[datetime | None] = mapped_column(UtcDateTime)
    provider_ref: Mapped[str | None] = mapped_column(String(300))
    last_error: Mapped[str | None] = mapped_column(Text)
    # Somebody may have sent it without saying so; the provider is asked before it is sent again, where it can be.
    in_doubt: Mapped[bool] = mapped_column(Boolean, default=False)
    # How often the provider said that it does not have it.
    polls: Mapped[int] = mapped_column(Integer, default=0)
    # A receipt said that the handset could not be reached, and it was sent once more.
    resent: Mapped[bool] = mapped_column(Boolean, default=False)
    tried_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The newest word of the provider about what it took.
    receipt: Mapped[str | None] = mapped_column(String(20))
    # The digest that tells what this would have told, and the message in whose place this one is.
    told_in: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    instead_of: Mapped[str | None] = mapped_column(String(ID_LENGTH))


class Breaker(Base):
    """Whether a channel works. One that failed several times in a row is left alone for a while, by all relays."""

    __tablename__ = "outbox_breakers"

    channel: Mapped[str] = mapped_column(String(40), primary_key=True)
    # Failures since it last worked, and how often it was opened since.
    failures: Mapped[int] = mapped_column(Integer, default=0)
    times_open: Mapped[int] = mapped_column(Integer, default=0)
    opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Until then nothing is tried; afterwards one message is. None: it is closed, and messages flow.
    open_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(Text)


class IdempotencyKey(Base):
    """What a request with this key made, so that its repetition makes nothing."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    entity_type: Mapped[str] = mapped_column(String(40))
    entity_id: Mapped[str] = mapped_column(String(ID_LENGTH))
