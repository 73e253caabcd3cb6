"""Reads alerts as other systems send them. Pure: bytes in, values out.

Everything here comes from outside and is hostile until proven otherwise. What is not JSON as RFC 8259 has it, is too
big, too deep or ambiguous (a key given twice) is refused with the place and a next step. Odd *text* is not refused: an
attacker who can put a NUL or half a surrogate pair into a log line must not be able to keep the alert about himself
out, so such characters become U+FFFD here, while the untouched bytes are kept as evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from case_store.errors import StoreError
from case_store.strict_json import Json, JsonRefused, documents
from case_store.texts import one_line, title

Shape = Literal["auto", "generic", "wazuh"]

SEVERITIES: Final = ("informational", "low", "medium", "high", "critical")
MAX_SOURCE: Final = 100
MAX_REF: Final = 300
MAX_SEVERITY: Final = 100
GENERIC_EXAMPLE: Final = (
    '{"source": "mail-gateway", "source_ref": "4711", "title": "…", "severity": "high", '
    '"occurred_at": "2026-01-31T09:30:00Z", "link": "https://…", "fields": {…}}'
)


class AlertRefused(StoreError):
    """This is not an alert that can be read."""

    next_step = f"send one JSON object such as {GENERIC_EXAMPLE}, or a Wazuh alert as Wazuh writes it"


@dataclass(frozen=True, slots=True)
class ParsedAlert:
    """One alert, in our words.

    Attributes:
        source: The system that raised it, such as "wazuh".
        source_ref: What that system calls this alert; with `source` it identifies the alert.
        title: One line for people.
        severity: On our scale.
        severity_original: The source's own value, as it was written.
        occurred_at: When it happened, in UTC; None when the source does not say.
        link: http(s) address of the alert in its source, if it has one.
        fields: The source's own fields, under the source's own names.
    """

    source: str
    source_ref: str
    title: str
    severity: str
    severity_original: str
    occurred_at: datetime | None
    link: str | None
    fields: dict[str, Json]


def parse(raw: bytes, shape: Shape = "auto") -> list[ParsedAlert]:
    """Read every alert in a document: one JSON object, a list of them, or one to a line.

    Raises:
        AlertRefused: Any of it cannot be read; then none of it counts.
    """
    try:
        read = documents(raw)
    except JsonRefused as refused:
        raise AlertRefused(str(refused), next_step=refused.next_step) from None
    if not read:
        raise AlertRefused("the document holds no alert")
    return [_one(document, where, shape) for where, document in read]


def _one(document: Json, where: str, shape: Shape) -> ParsedAlert:
    if not isinstance(document, dict):
        raise AlertRefused(f"{where}: an alert is a JSON object, this is {_kind(document)}")
    place = _Place(where)
    if shape == "auto":
        shape = _recognise(document, place)
    return _READERS[shape](document, place)


def _recognise(document: dict[str, Json], place: _Place) -> Shape:
    inner = document.get("_source", document)
    if isinstance(inner, dict) and isinstance(rule := inner.get("rule"), dict) and "level" in rule:
        return "wazuh"
    if "source" in document and "title" in document:
        return "generic"
    raise place.refuse("", "neither our generic shape (source, source_ref, title) nor a Wazuh alert (rule.level)")


# ---- the generic shape -------------------------------------------------------------------------------------------

_GENERIC_KEYS: Final = frozenset(
    {"source", "source_ref", "title", "severity", "occurred_at", "link", "fields", "severity_original"}
)


def _generic(document: dict[str, Json], place: _Place) -> ParsedAlert:
    if unknown := sorted(document.keys() - _GENERIC_KEYS):
        raise place.refuse(unknown[0], "not a field of the generic shape; put your own values under 'fields'")
    severity = place.text(document, "severity", default="medium").lower()
    if severity not in SEVERITIES:
        raise place.refuse("severity", f"is {severity!r}; use one of {', '.join(SEVERITIES)}")
    return ParsedAlert(
        source=place.identity(document, "source", MAX_SOURCE),
        source_ref=place.identity(document, "source_ref", MAX_REF),
        title=title(place.text(document, "title")),
        severity=severity,
        severity_original=place.text(document, "severity_original", default=severity)[:MAX_SEVERITY],
        occurred_at=place.moment(document, "occurred_at"),
        link=place.link(document, "link"),
        fields=place.object(document, "fields"),
    )


# ---- Wazuh: a line of alerts.json, or the same inside an indexer hit (_index, _id, _source) ------------------------

# Wazuh documentation, "Rules classification": 0-16; the alert threshold is 3 and the e-mail threshold 12 by default.
_WAZUH_LEVELS: Final = ((15, "critical"), (12, "high"), (7, "medium"), (4, "low"), (0, "informational"))
_WAZUH_HIGHEST: Final = 16


def _wazuh(document: dict[str, Json], place: _Place) -> ParsedAlert:
    if "_source" in document:
        document, place = place.object(document, "_source"), place.inside("_source")
    rule, in_rule = place.object(document, "rule"), place.inside("rule")
    level = rule.get("level")
    if not isinstance(level, int) or isinstance(level, bool) or not 0 <= level <= _WAZUH_HIGHEST:
        raise in_rule.refuse("level", f"is {_kind(level)} {level!r}; Wazuh levels are whole numbers from 0 to 16")
    return ParsedAlert(
        source="wazuh",
        source_ref=_wazuh_ref(document, place),
        title=title(in_rule.text(rule, "description")),
        severity=next(severity for least, severity in _WAZUH_LEVELS if level >= least),
        severity_original=str(level),
        occurred_at=place.moment(document, "timestamp"),
        link=None,
        fields=document,
    )


def _wazuh_ref(document: dict[str, Json], place: _Place) -> str:
    """Name the manager too: an id is unique on one manager only, and a clash would swallow an alert."""
    ref = place.identity(document, "id", MAX_REF // 3)
    manager = place.object(document, "manager")
    if "name" not in manager:
        return ref
    return f"{place.inside('manager').identity(manager, 'name', MAX_REF // 2)}/{ref}"


# ---- reading single values -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the document we are, and the readers that say so when they refuse."""

    where: str

    def inside(self, key: str) -> _Place:
        return _Place(f"{self.where}: {key}" if ": " not in self.where else f"{self.where}.{key}")

    def refuse(self, key: str, reason: str) -> AlertRefused:
        place = self.inside(key).where if key else self.where
        return AlertRefused(f"{place}: {reason}")

    def text(self, document: dict[str, Json], key: str, *, default: str | None = None) -> str:
        value = document.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise self.refuse(key, "is missing" if value is None else f"is {_kind(value)}; write it as text")
        if not value.strip():
            raise self.refuse(key, "is empty")
        return value

    def identity(self, document: dict[str, Json], key: str, limit: int) -> str:
        """Read a name by which things are told apart: whatever would have to be cut or altered is refused."""
        value = self.text(document, key)
        if len(value) > limit or value != one_line(value):
            raise self.refuse(key, f"must be one line of at most {limit} characters, without blanks at the ends")
        return value

    def object(self, document: dict[str, Json], key: str) -> dict[str, Json]:
        value = document.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.refuse(key, f"is {_kind(value)}; it must be an object")
        return value

    def moment(self, document: dict[str, Json], key: str) -> datetime | None:
        if document.get(key) is None:
            return None
        text = self.text(document, key)
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                raise self.refuse(key, f"{text!r} has no offset from UTC; add Z or +01:00")
            return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.refuse(key, f"{text!r} is not a time; write it as 2026-01-31T09:30:00Z") from None

    def link(self, document: dict[str, Json], key: str) -> str | None:
        if document.get(key) is None:
            return None
        text = self.text(document, key)
        try:
            parts = urlsplit(text)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.netloc or text != one_line(text) or " " in text:
            raise self.refuse(key, "only an http or https address is kept as a link")
        return text


def _kind(value: Json) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true/false", int: "a number", float: "a number"}
    return "missing" if value is None else names[cast("type", type(value))]


_READERS: Final[dict[str, Callable[[dict[str, Json], _Place], ParsedAlert]]] = {"generic": _generic, "wazuh": _wazuh}
