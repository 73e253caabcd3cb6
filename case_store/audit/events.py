"""The form of an audit event: one canonical JSON text.

The bytes of the body are the record; nobody makes them anew to verify them. They follow RFC 8785 (JSON
Canonicalization Scheme) restricted to what Python's encoder writes in the same way: ASCII keys, no floats, whole
numbers within 2^53-1, no lone surrogates. Values outside these limits are written as text.

Version 2 of the form adds the event's place: `seq` counts the events of its stream from 1, `prev` is the leaf hash of
the one before it (None for the first), in hexadecimal. So a stream is a chain, and each link is a leaf of the tree.

Version 3 knows commitments: `{"_sd": DIGEST}` stands in place of a personal value (see `commitments`). A key `_sd` in
any other map gets a backslash in front, so that it cannot pass for one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from case_store.actor import Actor
from case_store.audit.commitments import SD, Commitment
from case_store.audit.merkle import leaf_hash
from case_store.clean import clean_text
from case_store.errors import NotCanonical, UnattributedChange, UntimedChange

SCHEMA_VERSION = 3
GREATEST_INTEGER = 2**53 - 1
COLUMNS = (
    "event_id",
    "stream",
    "ts",
    "type",
    "entity_type",
    "entity_id",
    "entity_version",
    "actor_kind",
    "actor_id",
    "request_id",
    "schema_v",
    "body",
    "seq",
    "leaf",
)
"""The columns of `audit_events` that `Event.row` fills."""

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]

_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """The row that an event is about; `version` is what the event made of it, None when it changed nothing."""

    type: str
    id: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where in its stream an event stands: its number, and the leaf hash of the event before it."""

    seq: int
    prev: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, ready to be written."""

    event_id: str
    at: datetime
    type: str
    stream: str
    by: Actor
    request_id: str
    subject: Subject | None
    changes: Mapping[str, tuple[object, object]] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)

    def body(self, place: Place) -> str:
        """Return the canonical JSON of the event.

        Raises:
            NotCanonical: A change or a fact has no canonical form.
        """
        subject = self.subject
        return _encoder.encode(
            {
                "actor": {"id": clean_text(self.by.id), "kind": self.by.kind},
                "changes": {name: canonical(list(change), name) for name, change in self.changes.items()},
                "entity": subject and {"id": subject.id, "type": subject.type, "version": subject.version},
                "event_id": self.event_id,
                "facts": canonical(self.facts, "facts"),
                "prev": place.prev and place.prev.hex(),
                "request_id": self.request_id,
                "schema_v": SCHEMA_VERSION,
                "seq": place.seq,
                "stream": self.stream,
                "ts": rfc3339(self.at),
                "type": self.type,
            }
        )

    def row(self, place: Place) -> dict[str, object]:
        """Return the columns of `audit_events`."""
        subject, body = self.subject, self.body(place)
        return {
            "event_id": self.event_id,
            "stream": self.stream,
            "ts": self.at,
            "type": self.type,
            "entity_type": subject and subject.type,
            "entity_id": subject and subject.id,
            "entity_version": subject and subject.version,
            "actor_kind": self.by.kind,
            "actor_id": clean_text(self.by.id),
            "request_id": self.request_id,
            "schema_v": SCHEMA_VERSION,
            "body": body,
            "seq": place.seq,
            "leaf": leaf_hash(body.encode()),
        }


def require(event_type: str, by: Actor | None, at: datetime | None) -> tuple[Actor, datetime]:
    """Return author and time of an event, or refuse it.

    Raises:
        UnattributedChange: Nobody did it.
        UntimedChange: It happened at no time, or at a time without a zone.
    """
    if not isinstance(by, Actor):
        raise UnattributedChange(f"{event_type}: by={by!r} names nobody")
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise UntimedChange(f"{event_type}: at={at!r} is not an aware time")
    return by, at


def rfc3339(at: datetime) -> str:
    """Return the time in UTC to the microsecond, as RFC 3339 writes it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def canonical(value: object, where: str) -> Json:
    """Return the value as an event keeps it.

    Times become RFC 3339 text; floats and great integers become the text that Python prints for them; keys with
    characters outside ASCII are escaped with backslashes (and so is the backslash), so that no two keys meet.

    Raises:
        NotCanonical: The value is of another type, or is no number (NaN, infinity).
    """
    if type(value) is str:  # most of what there is
        return clean_text(value)
    match value:
        case None | bool() | int() | float() | str() | datetime():
            return _scalar(value, where)
        case Commitment():
            return {SD: value.digest}
        case Mapping():
            return {_key(key, where): canonical(item, f"{where}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [canonical(item, where) for item in value]
        case _:
            raise _no_form(value, where)


def _scalar(value: float | str | datetime | None, where: str) -> Json:
    if value is None:
        return None
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int):
        return value if abs(value) <= GREATEST_INTEGER else str(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return rfc3339(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    raise _no_form(value, where)


def _no_form(value: object, where: str) -> NotCanonical:
    return NotCanonical(f"{where} is {value!r:.80}, a {type(value).__name__}: it has no canonical form")


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise NotCanonical(f"{where} has the key {key!r}; keys are text")
    if key == SD:
        return f"\\{SD}"
    if key.isascii() and "\\" not in key:
        return key
    return clean_text(key).replace("\\", "\\\\").encode("ascii", "backslashreplace").decode("ascii")
