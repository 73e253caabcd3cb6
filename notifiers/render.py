"""The words of a message: a template of ours, filled with facts.

Facts are plain values (text, numbers, lists and maps of those), never live objects: the sandbox would let a template
call their methods. What came from an alert is hostile; here it is only ever a value: one clean line, escaped in HTML,
no link. Templates are files of this package, read by name; a text from elsewhere is never taken for a template.

Facts for `checkpoint`: `recipient`, and

    checkpoint  {"at": moment in ISO 8601, "size": 1204, "lines": the signed note, line by line}

Facts for `assigned`, `overdue`, `warning` and `escalated`:

    case       {"number": 42, "title": "...", "severity": "high"}
    task       {"title": "...", "stage": "..."}, and "role" when it is asked of everybody with that role
    due        moment the task is due, ISO 8601 with offset, or None
    link       web address where the task is decided
    recipient  {"name": "...", "time_zone": "Europe/Berlin" or None}

and for `escalated` also

    rung       which rung of the ladder, from 1 on
    after      how long after the due time it comes, such as "1h30m"
    late_by    how late the task is
    missed     the numbers of the rungs before it that could not be told in time
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifiers.cleaning import defanged, lines, one_line
from notifiers.errors import RenderRefused

TEMPLATES: Final = frozenset({"assigned", "checkpoint", "escalated", "overdue", "warning"})
# Every part alone stays below it however long the facts are; it bounds what a mistake in a template can do.
_LONGEST = 256 * 1024

_Part = Literal["subject.txt", "text.txt", "sms.txt", "body.html"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message in words: `subject` and `sms` are one line each, `html` is escaped and complete."""

    subject: str
    text: str
    html: str
    sms: str


def render(template: str, context: Mapping[str, object]) -> Rendered:
    """Write the message that `template` makes of the facts in `context`.

    Raises:
        RenderRefused: There is no such template, a fact it asks for is missing, or a fact makes no sense.
    """
    if template not in TEMPLATES:
        raise RenderRefused(
            f"there is no message template {template!r}", next_step=f"Use one of: {', '.join(sorted(TEMPLATES))}."
        )
    facts = {name: _plain(name, value) for name, value in context.items()}
    return Rendered(
        subject=one_line(_fill(template, "subject.txt", facts)),
        text=lines(_fill(template, "text.txt", facts)),
        html=_fill(template, "body.html", facts),
        sms=one_line(_fill(template, "sms.txt", facts)),
    )


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja with what our templates use and nothing else: no loader, no globals, no filters but these, no `*`."""

    intercepted_binops = frozenset({"*", "**", "%", "//"})

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(
            autoescape=autoescape,
            undefined=StrictUndefined,
            finalize=_one_value,
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=0,
        )
        self.globals = {}
        self.filters = {"short": one_line, "defanged": defanged, "moment": _moment, "web_link": _web_link}
        self.tests = {"defined": self.tests["defined"]}

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> NoReturn:  # noqa: ANN401, ARG002
        # `'a' * 10**9` is a gigabyte: Jinja's own sandbox allows it.
        raise SecurityError(f"templates do not calculate with {operator}")


@cache
def _compiled(template: str, part: _Part) -> Template:
    source = files("notifiers").joinpath("templates", template, part).read_text(encoding="utf-8")
    return _Sandbox(autoescape=part.endswith(".html")).from_string(source)


def _fill(template: str, part: _Part, facts: dict[str, object]) -> str:
    try:
        filled = _compiled(template, part).render(facts)
    except TemplateError as reason:
        raise RenderRefused(f"{template}/{part}: {one_line(str(reason))}") from reason
    if len(filled) > _LONGEST:
        raise RenderRefused(f"{template}/{part}: the message is longer than {_LONGEST} characters")
    return filled


def _plain(name: str, value: object) -> object:
    """Copy a fact, so that a template holds values only."""
    if isinstance(value, str):
        return str(value)  # not as `Markup`, which would pass unescaped
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(f"{name}.{key}", part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(f"{name}[]", part) for part in value]
    raise RenderRefused(
        f"{name}: a {type(value).__name__} is not a plain value",
        next_step="Give text, numbers, lists and maps; times as ISO 8601 text.",
    )


def _one_value(value: object) -> object:
    # Markup comes from our own escaping and is one line already; so are numbers.
    return one_line(value) if type(value) is str else value


def _moment(due: str, time_zone: str | None) -> str:
    """Show a moment on the clock of the person who reads it; in UTC when their zone is not known."""
    try:
        moment = datetime.fromisoformat(due)
    except (TypeError, ValueError) as reason:
        raise RenderRefused(f"due: {due!r} is not a moment in ISO 8601") from reason
    if moment.tzinfo is None:
        raise RenderRefused(f"due: {due!r} has no offset, so it is no moment")
    return moment.astimezone(_zone(time_zone)).strftime("%a %d %b %Y, %H:%M %Z")


def _zone(name: str | None) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return UTC


def _web_link(link: str) -> str:
    """Let a link through only when it leads to the web: escaping does not stop `javascript:`."""
    parts = urlsplit(link)
    if parts.scheme not in {"https", "http"} or not parts.hostname or one_line(link) != link or " " in link:
        raise RenderRefused(f"link: {one_line(link, 100)!r} is not a web address")
    return link
