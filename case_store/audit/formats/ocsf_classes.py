"""What the classes of OCSF want to know of an event. Each function gives the activity, and attributes of its class."""

from __future__ import annotations

from typing import Any, Final

from case_store.audit.formats import meaning
from case_store.audit.formats.record import Record
from case_store.audit.formats.values import milliseconds, text

_OTHER: Final = 99
_SHA256: Final = 3
_REGULAR_FILE: Final = 1
_USER_TYPES: Final = {"person": (1, "User"), "system": (3, "System"), "run": (4, "Service")}

_SEVERITIES: Final = {"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
_CREATE, _UPDATE, _CLOSE = (1, "Create"), (2, "Update"), (3, "Close")
_INCIDENTS: Final = {"create": _CREATE, "end": _CLOSE}
_NEW, _IN_PROGRESS, _CLOSED = (1, "New"), (2, "In Progress"), (5, "Closed")
_INCIDENT_STATUS: Final = {
    "create": _NEW,
    "update": _IN_PROGRESS,
    "begin": _IN_PROGRESS,
    "resume": _IN_PROGRESS,
    "end": _CLOSED,
}
_UNSAID: Final = "not said by this event"

_ENTITIES: Final = {
    "create": (1, "Create"),
    "read": (2, "Read"),
    "update": (3, "Update"),
    "delete": (4, "Delete"),
    "begin": (10, "Activate"),
    "end": (11, "Deactivate"),
    "suspend": (12, "Suspend"),
    "resume": (13, "Resume"),
}
_APIS: Final = {"create": (1, "Create"), "read": (2, "Read"), "update": (3, "Update"), "delete": (4, "Delete")}
_FILES: Final = {
    "create": (1, "Upload"),
    "read": (2, "Download"),
    "update": (3, "Update"),
    "delete": (4, "Delete"),
}
_LOGINS: Final = {"login": (1, "Logon")}


def user_of(record: Record) -> dict[str, Any]:
    """Return who did it, as a user."""
    actor = record.event["actor"]
    type_id, type_name = _USER_TYPES.get(actor["kind"], (0, "Unknown"))
    return {"uid": actor["id"], "name": record.actor_name, "type_id": type_id, "type": type_name}


def incident(record: Record) -> dict[str, Any]:
    """Return what Incident Finding (2005) wants. An event tells what changed: severity and owner only if they did."""
    change = meaning.change(record)
    status, status_name = _INCIDENT_STATUS.get(change, (0, "Unknown"))
    severity = text(record.after("severity"))
    severity_id = _SEVERITIES.get(severity, 0)
    finding = meaning.thing(record)
    uid = record.event["stream"].partition("/")[2] or finding["uid"]
    info = {"uid": uid, "title": finding["name"], "uid_alt": record.stream_name}
    if change == "create":
        info["created_time"] = milliseconds(record.event["ts"])
    return {
        "activity": _INCIDENTS.get(change, _UPDATE),
        "finding_info_list": [info],
        "severity_id": severity_id,
        "severity": severity.capitalize() if severity_id else "Unknown",
        "status_id": status,
        "status": status_name,
        **_assigned(record),
    }


def _assigned(record: Record) -> dict[str, Any]:
    """Return `assignee` or `assignee_group`: one of them has to be there."""
    owner, role = text(record.after("owner_id")), text(record.after("owner_role"))
    if owner:
        return {"assignee": {"uid": owner, "name": record.names.actor("person", owner), "type_id": 1}}
    if role:
        return {"assignee_group": {"name": f"role:{role}"}}
    told = record.event["changes"].keys() & {"owner_id", "owner_role"}
    return {"assignee_group": {"name": "nobody" if told else _UNSAID}}


def entity(record: Record) -> dict[str, Any]:
    """Return what Entity Management (3004) wants."""
    about = meaning.thing(record)
    made: dict[str, Any] = about | {"type_id": _OTHER}
    if (row := record.event["entity"]) is not None and row["version"] is not None:
        made["version"] = str(row["version"])
    return {"activity": _activity(_ENTITIES, record), "entity": made}


def account(record: Record) -> dict[str, Any]:
    """Return what Account Change (3001) wants, and with `privileges` what User Access Management (3005) wants."""
    user = meaning.thing(record)
    told: dict[str, Any] = {"user": {"uid": user["uid"], "name": user["name"], "type_id": 1}}
    change = meaning.change(record)
    before, after = record.event["changes"].get("roles") or (None, None)
    if change == "create":
        return told | {"activity": (1, "Create")}
    if isinstance(before, list) and isinstance(after, list):
        return told | _privileges(set(map(text, before)), set(map(text, after)))
    if isinstance(active := record.after("active"), bool):
        return told | {"activity": (2, "Enable") if active else (5, "Disable")}
    return told | {"activity": (6, "Delete") if change == "delete" else (_OTHER, _happened(record))}


def _privileges(before: set[str], after: set[str]) -> dict[str, Any]:
    given, taken = after - before, before - after
    if given and taken:
        return {"activity": (_OTHER, "Exchange Privileges"), "privileges": sorted(given | taken)}
    if taken:
        return {"activity": (2, "Revoke Privileges"), "privileges": sorted(taken)}
    return {"activity": (1, "Assign Privileges"), "privileges": sorted(given)}


def login(record: Record) -> dict[str, Any]:
    """Return what Authentication (3002) wants: whose link or code it is, which may be withheld, else who brought it."""
    who = text(record.fact("who"))
    made: dict[str, Any] = {
        "activity": _activity(_LOGINS, record),
        "user": {"name": who, "type_id": 1} if who else user_of(record),
        "service": {"name": "casewright"},
        "is_mfa": record.type.startswith("code."),
    }
    return made | ({"status_detail": text(why)} if (why := record.fact("why")) else {})


def stored_file(record: Record) -> dict[str, Any]:
    """Return what File Hosting Activity (6006) wants."""
    told = meaning.evidence(record) or {"name": "unnamed"}
    made: dict[str, Any] = {"name": told["name"], "type_id": _REGULAR_FILE, "type": "Regular File"}
    if "sha256" in told:
        made["hashes"] = [{"algorithm_id": _SHA256, "algorithm": "SHA-256", "value": told["sha256"]}]
    made |= {"size": told["size"]} if "size" in told else {}
    made |= {"mime_type": told["media_type"]} if "media_type" in told else {}
    return {"activity": _activity(_FILES, record), "file": made, "src_endpoint": _here()}


def api(record: Record) -> dict[str, Any]:
    """Return what API Activity (6003) wants."""
    about = meaning.thing(record)
    resource = {"type": about["type"], "uid": about["uid"], "name": about["name"]}
    operation = {"operation": record.type, "service": {"name": "casewright"}}
    return {
        "activity": _activity(_APIS, record),
        "api": operation,
        "resources": [resource],
        "src_endpoint": _here(),
    }


def _here() -> dict[str, str]:
    """Return where a call came from. Events know the person and not their machine, so it is ours."""
    return {"svc_name": "casewright"}


def _activity(known: dict[str, tuple[int, str]], record: Record) -> tuple[int, str]:
    return known.get(meaning.change(record)) or (_OTHER, _happened(record))


def _happened(record: Record) -> str:
    """Return what happened, as the label of an activity that OCSF has no number for."""
    return record.type.partition(".")[2].replace("_", " ").title()
