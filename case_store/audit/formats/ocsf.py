"""JSON Lines in the Open Cybersecurity Schema Framework, version 1.8.0 (schema.ocsf.io): one event a line.

| our events | class |
|---|---|
| `case.*` | Incident Finding (2005) |
| `person.*` | Account Change (3001); User Access Management (3005) where roles change |
| `evidence.*` | File Hosting Activity (6006) |
| `code.*`, and links that were opened, used, refused or unknown | Authentication (3002) |
| `audit.*`, and whatever was read or exported | API Activity (6003) |
| all else, events of kinds that are not known here too | Entity Management (3004) |

Alerts are entities here and no findings: whoever collects findings has them from where the alerts came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from case_store.audit.formats import meaning
from case_store.audit.formats.ocsf_classes import account, api, entity, incident, login, stored_file, user_of
from case_store.audit.formats.record import Format, Record
from case_store.audit.formats.values import PRODUCT, cut, json_line, milliseconds, product_version, shown

VERSION: Final = "1.8.0"
INCIDENT, ACCOUNT, LOGIN, ACCESS, ENTITY, API, FILE = 2005, 3001, 3002, 3005, 3004, 6003, 6006
_CLASSES: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        INCIDENT: ("Incident Finding", "Findings"),
        ACCOUNT: ("Account Change", "Identity & Access Management"),
        LOGIN: ("Authentication", "Identity & Access Management"),
        ENTITY: ("Entity Management", "Identity & Access Management"),
        ACCESS: ("User Access Management", "Identity & Access Management"),
        API: ("API Activity", "Application Activity"),
        FILE: ("File Hosting Activity", "Application Activity"),
    }
)
_MOST_MESSAGE: Final = 1000
_STATUS: Final = {"success": (1, "Success"), "failure": (2, "Failure"), "unknown": (0, "Unknown")}


def document(record: Record) -> dict[str, Any]:
    """Return the event as an OCSF event; where class and event know no better, informational and with its outcome."""
    class_uid, told = _told(record)
    activity, activity_name = told.pop("activity")
    class_name, category_name = _CLASSES[class_uid]
    status, status_name = _STATUS[meaning.outcome(record)]
    return {
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": class_uid // 1000,
        "category_name": category_name,
        "class_uid": class_uid,
        "class_name": class_name,
        "type_uid": class_uid * 100 + activity,
        "type_name": f"{class_name}: {activity_name}",
        "time": milliseconds(record.event["ts"]),
        "severity_id": 1,
        "severity": "Informational",
        "status_id": status,
        "status": status_name,
        "message": cut(meaning.sentence(record), _MOST_MESSAGE),
        "metadata": _metadata(record, incident=class_uid == INCIDENT),
        "actor": {"user": user_of(record)},
        "unmapped": _unmapped(record),
        **told,
    }


def _told(record: Record) -> tuple[int, dict[str, Any]]:
    """Return the class of an event, and what that class wants to know besides what all of them do."""
    family = record.type.partition(".")[0]
    if family == "code" or meaning.change(record) == "login":
        return LOGIN, login(record)
    if family == "audit" or (meaning.change(record) == "read" and family != "evidence"):
        return API, api(record)
    if family == "case":
        return INCIDENT, incident(record)
    if family == "person":
        told = account(record)
        return (ACCESS if "privileges" in told else ACCOUNT), told
    if family == "evidence":
        return FILE, stored_file(record)
    return ENTITY, entity(record)


def _metadata(record: Record, *, incident: bool) -> dict[str, Any]:
    made = {
        "version": VERSION,
        "product": {"name": PRODUCT, "vendor_name": PRODUCT, "version": product_version()},
        "uid": record.event["event_id"],
        "correlation_uid": record.event["stream"],
        "event_code": record.type,
        "log_name": "audit",
        "original_time": record.event["ts"],
        "profiles": ["host", "incident"] if incident else [],  # an incident has its actor from the profile of hosts
    }
    return made if record.idx is None else made | {"sequence": record.idx}


def _unmapped(record: Record) -> dict[str, Any]:
    event = record.event
    return {
        "seq": event.get("seq"),
        "prev": event.get("prev"),
        "leaf": record.leaf,
        "request_id": event["request_id"],
        "entity": event["entity"],
        "changes": shown(event["changes"]),
        "facts": shown(event["facts"]),
    }


FORMAT: Final = Format(name="ocsf", suffix=".ndjson", line=lambda record: json_line(document(record)))
