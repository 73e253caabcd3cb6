"""What an event means to those who know nothing of cases: how it went, what kind of change it was, how to say it."""

from __future__ import annotations

import re
from typing import Final, Literal

from case_store.audit.formats.record import Record
from case_store.audit.formats.values import text

Outcome = Literal["success", "failure", "unknown"]
Change = Literal["create", "read", "update", "delete", "begin", "end", "suspend", "other"]

_HAPPENED: Final[dict[Change, str]] = {
    "create": "added attached imported kept opened pinned planned received",
    "read": "disclosed exported listed read shown viewed",
    "update": "applied assigned changed condition_met deployed edited export_resumed held linked overdue raw_kept"
    " reassigned released repeated retried revised taken_over",
    "delete": "deleted disposed erased removed",
    "begin": "reopened resumed running started",
    "end": "approved cancelled closed completed done ended failed finished given_up not_applicable rejected skipped"
    " unknown_outcome",
}
_CHANGES: Final[dict[str, Change]] = {one: kind for kind, all_ in _HAPPENED.items() for one in all_.split()}
_OPENED_FOR_WORK: Final = frozenset({"stage.opened", "task.opened"})
_RUN_STATES: Final[dict[str, Change]] = {
    "SCHEDULED": "create",
    "RUNNING": "begin",
    "PAUSED": "suspend",
    **dict.fromkeys(("COMPLETED", "FAILED", "CRASHED", "CANCELLED"), "end"),
}
_SHA256: Final = re.compile("[0-9a-f]{64}")
_FAILED: Final = frozenset({"execution.given_up", "notification.failed", "task.failed"})
_UNKNOWN: Final = frozenset({"notification.postponed", "notification.unknown", "task.unknown_outcome"})
_OUTCOMES: Final[dict[str, Outcome]] = {
    **dict.fromkeys(("failed", "FAILED", "CRASHED"), "failure"),
    **dict.fromkeys(("unknown", "CANCELLED"), "unknown"),
}


def change(record: Record) -> Change:
    """Return what kind of change it was: by what happened, for an engine's run by its new state; else `other`."""
    if record.type == "run.state":
        return _RUN_STATES.get(text(record.fact("state_type")), "other")
    if record.type in _OPENED_FOR_WORK:
        return "begin"
    return _CHANGES.get(record.type.partition(".")[2], "other")


def outcome(record: Record) -> Outcome:
    """Return how it went; an event that tells of no failure is a success."""
    if record.type in _FAILED:
        return "failure"
    if record.type in _UNKNOWN:
        return "unknown"
    told = record.after("outcome") if record.type == "execution.ended" else record.fact("state_type")
    return _OUTCOMES.get(text(told), "success")


def title(record: Record) -> str:
    """Return what happened, in words: `Task taken over`."""
    return record.type.replace(".", " ").replace("_", " ").capitalize()


def sentence(record: Record) -> str:
    """Return what happened, to what, and by whom, in words."""
    return f"{title(record)}: {record.stream_name}, by {record.actor_name}"


def thing(record: Record) -> dict[str, str]:
    """Return what the event is about, as `type`, `uid` and `name`; events about no row are about what they name."""
    entity = record.event["entity"]
    if entity is not None:
        named = (record.after(column) for column in ("title", "name", "handle", "key", "value"))
        name = next((text(one) for one in named if one is not None), "")
        return {"type": entity["type"], "uid": entity["id"], "name": name or entity["id"]}
    if record.type == "run.state":
        kind, uid, name = (text(record.fact(part)) for part in ("run_kind", "run_id", "run_name"))
        return {"type": kind or "run", "uid": uid, "name": name or uid}
    family = record.type.partition(".")[0]
    uid = text(record.fact(f"{family}_id") or record.fact("outbox_id")) or record.event["stream"]
    return {"type": family, "uid": uid, "name": text(record.fact("template")) or record.stream_name}


def evidence(record: Record) -> dict[str, str | int] | None:
    """Return `name`, `sha256` and, where told, `size` and `media_type` of the evidence an event tells of, else None."""
    if not record.type.startswith("evidence."):
        return None
    sha256 = text(record.after("sha256") or record.fact("sha256"))
    told: dict[str, str | int] = {"name": text(record.after("name") or record.fact("name")) or sha256 or "unnamed"}
    size, media_type = record.after("size"), record.after("media_type")
    told |= {"sha256": sha256} if _SHA256.fullmatch(sha256) else {}
    told |= {"size": size} if isinstance(size, int) else {}
    return told | ({"media_type": text(media_type)} if media_type else {})
