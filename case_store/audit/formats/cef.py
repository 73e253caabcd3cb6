"""ArcSight Common Event Format, version 0 ("Implementing ArcSight Common Event Format (CEF)", version 25).

One event, one line. The dictionary of the format limits lengths; what is longer is cut, and the cut is visible.
"""

from __future__ import annotations

import re
from typing import Final

from case_store.audit.catalogue.kinds import Outcome
from case_store.audit.formats import meaning
from case_store.audit.formats.record import Format, Record
from case_store.audit.formats.values import PRODUCT, as_json, cut, milliseconds, product_version, text, visible

_SEVERITY: Final[dict[Outcome, int]] = {"success": 3, "unknown": 5, "failure": 6}  # of 0 to 10
_MOST_CUSTOM: Final = 4000
_MOST_MESSAGE: Final = 1023
_IN_HEADER: Final = re.compile(r"[\\|]")
_IN_EXTENSION: Final = re.compile("[\\\\=\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ESCAPES: Final = {"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"}


def _line(record: Record) -> str:
    severity = _SEVERITY[meaning.outcome(record)]
    head = ["CEF:0", PRODUCT, PRODUCT, product_version(), record.type, meaning.title(record), str(severity)]
    extension = " ".join(f"{key}={_value(value)}" for key, value in _extension(record).items() if value != "")
    return "|".join([*map(_header, head), extension])


def _extension(record: Record) -> dict[str, str | int]:
    event, actor = record.event, record.event["actor"]
    custom: list[tuple[str, str]] = [
        ("stream", record.event["stream"]),
        ("leafHash", record.leaf),
        ("changes", as_json(event["changes"]) if event["changes"] else ""),
        ("facts", as_json(event["facts"]) if event["facts"] else ""),
        ("requestId", event["request_id"]),
        ("previousLeafHash", text(event.get("prev"))),
    ]
    found: dict[str, str | int] = {
        "rt": milliseconds(event["ts"]),
        "externalId": event["event_id"],
        "act": record.type,
        "outcome": meaning.outcome(record),
        "suid": f"{actor['kind']}:{actor['id']}",
        "suser": record.actor_name,
        "msg": cut(meaning.sentence(record), _MOST_MESSAGE),
    }
    for number, (label, value) in enumerate(custom, 1):
        if value:
            found |= {f"cs{number}": cut(value, _MOST_CUSTOM), f"cs{number}Label": label}
    for number, (label, place) in enumerate((("sequenceInStream", event.get("seq")), ("logIndex", record.idx)), 1):
        if place is not None:
            found |= {f"cn{number}": place, f"cn{number}Label": label}
    if (file := meaning.evidence(record)) is not None:
        found |= {"fname": cut(str(file["name"]), _MOST_MESSAGE), "fileHash": file.get("sha256", "")}
        found |= {"fsize": file.get("size", ""), "fileType": file.get("media_type", "")}
    return found


def _header(part: str) -> str:
    return _IN_HEADER.sub(lambda found: "\\" + found[0], visible(part))


def _value(value: str | int) -> str:
    return _IN_EXTENSION.sub(_escaped, str(value))


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    return _ESCAPES.get(char) or "\\" + visible(char)  # the backslash with which `visible` begins is escaped as well


FORMAT: Final = Format(name="cef", suffix=".cef", line=_line)
