"""What an event means to those who know nothing of cases: how it went, what kind of change it was, how to say it."""

from __future__ import annotations

import re
from typing import Final

from case_store.audit import catalogue
from case_store.audit.catalogue.kinds import Change, Outcome
from case_store.audit.formats.record import Record
from case_store.audit.formats.values import text

_RUN_STATES: Final[dict[str, Change]] = {
    "SCHEDULED": "create",
    "RUNNING": "begin",
    "PAUSED": "suspend",
    **dict.fromkeys(("COMPLETED", "FAILED", "CRASHED", "CANCELLED"), "end"),
}
_SHA256: Final = re.compile("[0-9a-f]{64}")
_FAILURE, _UNKNOWN = ("failed", "FAILED", "CRASHED", "permanent"), ("unknown", "CANCELLED", "temporary")
_OUTCOMES: Final[dict[str, Outcome]] = {**dict.fromkeys(_FAILURE, "failure"), **dict.fromkeys(_UNKNOWN, "unknown")}


def change(record: Record) -> Change:
    """Return what kind of change it was: by the catalogue, for an engine's run by its new state."""
    if record.type == "run.state":
        return _RUN_STATES.get(text(record.fact("state_type")), "other")
    return catalogue.sense_of(record.type).change


def outcome(record: Record) -> Outcome:
    """Return how it went: as the event says it where its kind does not, else by the catalogue."""
    match record.type:
        case "execution.ended":
            told = record.after("outcome")
        case "run.state":
            told = record.fact("state_type")
        case "notification.tested":
            told = record.fact("outcome")
        case "deadline.met":
            told = "failed" if record.fact("late") is True else None
        case _:
            return catalogue.sense_of(record.type).outcome
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
