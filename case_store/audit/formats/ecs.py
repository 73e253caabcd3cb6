"""JSON Lines in the Elastic Common Schema, version 8.17: one document a line, ready for an index.

Changes and facts are text: their names differ from event to event, and an index would grow a field for each.
"""

from __future__ import annotations

from typing import Any, Final

from case_store.audit.catalogue.kinds import Change
from case_store.audit.formats import meaning
from case_store.audit.formats.record import Format, Record
from case_store.audit.formats.values import as_json, json_line, product_version

VERSION: Final = "8.17.0"
CATEGORIES: Final = {
    "audit": "api",
    "code": "authentication",
    "evidence": "file",
    "execution": "process",
    "person": "iam",
    "privacy": "iam",
    "run": "process",
}
"""`event.category` by what an event is about; for all else, cases and tasks too, `configuration`: they have none."""

TYPES: Final[dict[str, dict[Change, str]]] = {
    "configuration": {"create": "creation", "read": "access", "delete": "deletion", "other": "info"},
    "file": {"create": "creation", "read": "access", "delete": "deletion", "other": "info"},
    "iam": {"create": "creation", "read": "info", "delete": "deletion", "other": "info"},
    "process": {"create": "start", "read": "access", "begin": "start", "end": "end", "other": "info"},
    "authentication": {
        **dict.fromkeys(("create", "read", "update", "delete", "begin", "suspend", "resume", "other"), "info"),
        "login": "start",
        "end": "end",
    },
    "api": {"create": "creation", "read": "access", "delete": "deletion", "other": "info"},
}
"""`event.type` by the category and the kind of change; `change` for all else."""


def document(record: Record) -> dict[str, Any]:
    """Return the event as a document."""
    event, actor = record.event, record.event["actor"]
    made: dict[str, Any] = {
        "@timestamp": event["ts"],
        "ecs": {"version": VERSION},
        "message": meaning.sentence(record),
        "event": _event(record),
        "user": {"id": actor["id"], "name": record.actor_name},
        "related": {"user": [record.actor_name], "hash": [record.leaf]},
        "service": {"name": "casewright", "type": "casewright", "version": product_version()},
        "casewright": _rest(record),
    }
    if (file := meaning.evidence(record)) is not None:
        made["file"] = {"name": file["name"]} | ({"size": file["size"]} if "size" in file else {})
        made["file"] |= {"mime_type": file["media_type"]} if "media_type" in file else {}
        if "sha256" in file:
            made["file"]["hash"] = {"sha256": file["sha256"]}
            made["related"]["hash"].append(file["sha256"])
    return made


def _event(record: Record) -> dict[str, Any]:
    category = CATEGORIES.get(record.type.partition(".")[0], "configuration")
    category = "authentication" if meaning.change(record) == "login" else category
    made = {
        "kind": "event",
        "category": [category],
        "type": [TYPES[category].get(meaning.change(record), "change")],
        "outcome": meaning.outcome(record),
        "action": record.type,
        "id": record.event["event_id"],
        "hash": record.leaf,
        "provider": "casewright",
        "module": "casewright",
        "dataset": "casewright.audit",
    }
    return made if record.idx is None else made | {"sequence": record.idx}


def _rest(record: Record) -> dict[str, Any]:
    event = record.event
    return {
        "stream": event["stream"],
        "of": record.stream_name,
        "seq": event.get("seq"),
        "prev": event.get("prev"),
        "request_id": event["request_id"],
        "actor_kind": event["actor"]["kind"],
        "entity": event["entity"],
        "changes": as_json(event["changes"]),
        "facts": as_json(event["facts"]),
    }


FORMAT: Final = Format(name="ecs", suffix=".ndjson", line=lambda record: json_line(document(record)))
