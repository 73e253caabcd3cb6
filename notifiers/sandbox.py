"""Jinja with what message templates use and nothing else. Facts are plain copies, never live objects.

The sandbox alone does not bound time and memory (two nested loops over long lists run for hours). So a template that is
not ours is filled in by a process of its own, with limits: `notifiers/limited.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from html import escape
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import StrictUndefined, Template, TemplateError, meta, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifiers.cleaning import defanged, lines, one_line
from notifiers.errors import RenderRefused

LONGEST: Final = 256 * 1024
"""Characters in one part of a message; it bounds what a mistake in a template can do."""

LONGEST_SOURCE: Final = 64 * 1024
SUBJECT, TEXT, SMS, HTML = "subject.txt", "text.txt", "sms.txt", "body.html"
PARTS: Final = (SUBJECT, TEXT, SMS, HTML)

_REFUSED: Final = (
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
    nodes.Extends,
    nodes.Block,
    nodes.Macro,
    nodes.Call,
    nodes.CallBlock,
    nodes.Assign,
    nodes.AssignBlock,
    nodes.Concat,
    nodes.Mul,
    nodes.Pow,
    nodes.Mod,
)
_WORDS: Final = {
    nodes.Call: "a call",
    nodes.Concat: "~",
    nodes.Mul: "*",
    nodes.Pow: "**",
    nodes.Mod: "%",
    nodes.Assign: "set",
    nodes.AssignBlock: "set",
}


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja with what our templates use: no loader, no globals, no filters but these, no `*`."""

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
        """Refuse to calculate."""
        # `'a' * 10**9` is a gigabyte: Jinja's own sandbox allows it.
        raise SecurityError(f"templates do not calculate with {operator}")


def sandbox(part: str) -> Sandbox:
    """Return the environment for a part: the HTML escapes."""
    return Sandbox(autoescape=part.endswith(".html"))


def problems(name: str, source: str, part: str, known: frozenset[str]) -> Iterator[str]:
    """Yield what is wrong with a template that somebody wrote, as far as it shows without facts.

    Args:
        name: What to call it.
        source: The template.
        part: Which part of a message it is.
        known: The facts there are.
    """
    if len(source) > LONGEST_SOURCE:
        yield f"{name}: it has {len(source)} characters, at most {LONGEST_SOURCE} are read"
        return
    try:
        tree = sandbox(part).parse(source)
        sandbox(part).from_string(source)  # knows the filters and tests
    except TemplateSyntaxError as error:
        yield f"{name}:{error.lineno}: {one_line(error.message or 'it cannot be read')}"
        return
    except (TemplateError, RecursionError, SyntaxError, ValueError, OverflowError) as error:
        yield f"{name}: it cannot be read: {one_line(str(error), 200)}"
        return
    for node in tree.find_all(_REFUSED):
        word = _WORDS.get(type(node), type(node).__name__.lower())
        yield f"{name}:{node.lineno}: templates know no {word}"
    for fact in sorted(meta.find_undeclared_variables(tree) - known):
        yield f"{name}: there is no fact {fact!r}; there are {', '.join(sorted(known))}"


@lru_cache(maxsize=256)
def _compiled(part: str, source: str) -> Template:
    return sandbox(part).from_string(source)


def fill(name: str, source: str, part: str, facts: Mapping[str, object]) -> str:
    """Fill one part of a message in.

    Raises:
        RenderRefused: The template, or a fact, is not as it has to be; or the result is too long.
    """
    try:
        pieces, length = [], 0
        for piece in _compiled(part, source).generate(dict(facts)):
            length += len(piece)
            if length > LONGEST:
                raise RenderRefused(f"{name}: the message is longer than {LONGEST} characters")
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as reason:
        raise RenderRefused(f"{name}: {one_line(str(reason), 300)}") from reason
    filled = "".join(pieces)
    return one_line(filled) if part in {SUBJECT, SMS} else filled if part == HTML else lines(filled)


def as_html(text: str, link: object) -> str:
    """Make HTML of the text, where a template has none: a paragraph for each, and the console's address as a link."""
    escaped = escape(text.strip())
    if isinstance(link, str) and link:
        shown = escape(_web_link(link))
        escaped = escaped.replace(shown, f'<a href="{shown}">{shown}</a>')
    body = "".join(
        f"<p>{paragraph}</p>\n" for paragraph in escaped.replace("\n\n", "\0").replace("\n", "<br>\n").split("\0")
    )
    return f'<!doctype html>\n<html><head><meta charset="utf-8"></head>\n<body>\n{body}</body></html>\n'


def plain(name: str, value: object) -> object:
    """Copy a fact, so that a template holds values only.

    Raises:
        RenderRefused: It is no text, number, list or map.
    """
    if isinstance(value, str):
        return str(value)  # not as `Markup`, which would pass unescaped
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(f"{name}.{key}", part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(f"{name}[]", part) for part in value]
    raise RenderRefused(
        f"{name}: a {type(value).__name__} is not a plain value",
        next_step="Give text, numbers, lists and maps; times as ISO 8601 text.",
    )


def _one_value(value: object) -> object:
    # Markup comes from our own escaping and is one line already; so are numbers.
    return one_line(value) if type(value) is str else value


_WRITTEN: Final = {"en": "%a %d %b %Y, %H:%M %Z", "de": "%d.%m.%Y, %H:%M %Z"}


def _moment(due: str, time_zone: str | None, language: str = "en") -> str:
    """Show a moment on the clock of the person who reads it; in UTC when their zone is not known."""
    try:
        moment = datetime.fromisoformat(due)
    except (TypeError, ValueError) as reason:
        raise RenderRefused(f"due: {due!r} is not a moment in ISO 8601") from reason
    if moment.tzinfo is None:
        raise RenderRefused(f"due: {due!r} has no offset, so it is no moment")
    return moment.astimezone(_zone(time_zone)).strftime(_WRITTEN.get(language, _WRITTEN["en"]))


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
