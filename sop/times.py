"""How long things may take, who is told when they take longer, and what others demand by a time."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from sop.durations import PATTERN as DURATION_PATTERN
from sop.durations import format_duration, parse_duration
from sop.elements import Duration, Element, Key, Line, Severity, read_duration

RUNG_PATTERN = (
    r"^(owner|owner\.manager|backup|on-call|case-owner"
    r"|role:[a-z][a-z0-9_-]{0,39}|user:[A-Za-z0-9][A-Za-z0-9._@-]{0,63})$"
)
CHANNEL_PATTERN = r"^([a-z][a-z0-9-]{0,39}|apprise:[a-z0-9][a-z0-9_-]{0,31})$"
APPRISE = "apprise:"
CHANNELS = ("email", "sms", "pagerduty", "slack", "teams")
"""The channels there are, besides the targets that an installation names for itself: `apprise:NAME`."""
START_PATTERN = r"^(opened|[a-z][a-z0-9_-]{0,39}\.[a-z][a-z0-9_]{0,39})$"


def _after(value: object) -> object:
    return timedelta() if value == 0 or value in {"0", "0s", "0m"} else value


def _lead(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    if not _SHARE.match(text):
        read_duration(text)
    return text


_SHARE = re.compile(r"[1-9][0-9]?%\Z")
After = Annotated[
    Duration,
    BeforeValidator(_after),
    WithJsonSchema({"anyOf": [{"const": 0}, {"type": "string", "pattern": DURATION_PATTERN}]}),
]
Lead = Annotated[
    str, BeforeValidator(_lead), WithJsonSchema({"type": "string", "pattern": rf"^[1-9][0-9]?%$|{DURATION_PATTERN}"})
]
"""A duration, or a share of the whole time: `30m`, `20%`."""


def lead_of(warn: str, limit: timedelta) -> timedelta:
    """Return how long before the end of a time one is warned."""
    return limit * int(warn[:-1]) / 100 if warn.endswith("%") else parse_duration(warn)


class Sla(Element):
    """How long something may take: one time for all cases, or one for each severity."""

    critical: Duration | None = None
    high: Duration | None = None
    medium: Duration | None = None
    low: Duration | None = None
    informational: Duration | None = None
    otherwise: Duration | None = None
    """For every severity that is not named."""

    def of(self, severity: Severity) -> timedelta | None:
        """Return the time for cases of this severity; None when there is no limit."""
        named: timedelta | None = getattr(self, severity)
        return named or self.otherwise

    def __str__(self) -> str:
        named = {name: text for name, text in self.model_dump(exclude_none=True).items() if name != "otherwise"}
        parts = [f"{name} {text}" for name, text in named.items()]
        if self.otherwise is not None:
            parts.append(f"otherwise {format_duration(self.otherwise)}" if parts else format_duration(self.otherwise))
        return ", ".join(parts)


def _for_all(value: object) -> object:
    if value == {}:
        raise PydanticCustomError("too_short", "there is no time in it", {})
    return value if isinstance(value, dict | Sla) else {"otherwise": value}


_DURATION_SCHEMA = {"type": "string", "pattern": DURATION_PATTERN, "examples": ["30m", "1h30m", "2d"]}
SlaRule = Annotated[
    Sla,
    BeforeValidator(_for_all),
    WithJsonSchema(
        {
            "anyOf": [
                _DURATION_SCHEMA,
                {
                    "type": "object",
                    "properties": dict.fromkeys(Sla.model_fields, _DURATION_SCHEMA),
                    "additionalProperties": False,
                    "minProperties": 1,
                },
            ]
        }
    ),
]


class Rung(Element):
    """One rung of a ladder: who is told that a task is late, and when."""

    after: After
    """How long after the due time, counted as the SLA counts (working time, if it does); `0` is at the due time."""
    to: Annotated[str, Field(pattern=RUNG_PATTERN)]
    """Who: `owner`, `backup`, `owner.manager`, `on-call`, `case-owner`, `role:ROLE` or `user:HANDLE`."""
    via: Annotated[str, Field(pattern=CHANNEL_PATTERN)] | None = None
    """By which channel: `sms`, `slack`, `apprise:NAME`; without it, by those that the case's severity asks for."""


Ladder = Annotated[tuple[Rung, ...], Field(strict=False, max_length=20)]


class Deadline(Element):
    """A time that a law or a contract sets: all hours count, and nothing stops it."""

    name: Line
    """What it is called, such as `GDPR Art. 33`."""
    after: Duration
    """How long after its beginning it ends, around the clock; a month is `30d`."""
    from_: Annotated[str, Field(alias="from", pattern=START_PATTERN)] = "opened"
    """When it begins: `opened`, or `TASK.FIELD`, a date and time in a form; until that is known, `opened`."""
    warn: Duration | None = None
    """How long before its end the owner of the case is warned; without it, a quarter of the whole time."""
    met_by: Key | None = None
    """The task whose end meets it; without it, a person says so: `casewright case deadline meet`."""

    @property
    def lead(self) -> timedelta:
        """Return how long before its end it is warned of."""
        return self.warn or self.after / 4
