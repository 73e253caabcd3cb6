"""Columns and table of the eighth migration; a copy of the models of that day."""

from sqlalchemy import JSON, Boolean, Column, DateTime, Integer, MetaData, String, Table, Text

_TIME = DateTime(timezone=True)
_metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})

STATES_BEFORE = ("pending", "leased", "sent", "dead", "unknown")
STATES = (*STATES_BEFORE, "delivered", "cancelled")
STATE_CHECK = "ck_outbox_state"

DEFAULTED = ("in_doubt", "polls", "resent")
"""Columns that need a value in the rows that are there already, and later none of the server's."""

INDEXES = {
    "ix_outbox_channel_state_next_at": ["channel", "state", "next_at"],
    "ix_outbox_recipient_id_channel_tried_at": ["recipient_id", "channel", "tried_at"],
    "ix_outbox_provider_ref": ["provider_ref"],
}

BREAKERS = Table(
    "outbox_breakers",
    _metadata,
    Column("channel", String(40), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("times_open", Integer, nullable=False),
    Column("opened_at", _TIME),
    Column("open_until", _TIME),
    Column("last_error", Text),
)


def of_outbox() -> list[Column[object]]:
    """Return the new columns of the outbox; what is there already gets the server's default."""
    return [
        Column("in_doubt", Boolean, nullable=False, server_default="0"),
        Column("polls", Integer, nullable=False, server_default="0"),
        Column("resent", Boolean, nullable=False, server_default="0"),
        Column("tried_at", _TIME),
        Column("receipt", String(20)),
        Column("told_in", String(36)),
        Column("instead_of", String(36)),
    ]


def of_people() -> list[Column[object]]:
    """Return the new columns of people."""
    return [
        Column("language", String(10)),
        Column("opted_out", JSON),
        Column("bad_addresses", JSON),
    ]


def in_states(states: tuple[str, ...]) -> str:
    """Return the condition that a message is in one of these states."""
    return f"state IN ({', '.join(repr(state) for state in states)})"
