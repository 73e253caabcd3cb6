"""Where a sink is: a URL of the settings, taken apart. Importing this loads no database code.

Events and checkpoints go to the first two of these, checkpoints also to the third:

    file:///var/log/casewright.jsonl
    syslog+tls://siem.example.org:6514?format=jsonl&ca=/etc/casewright/siem.pem&name=siem
    mailto:auditor@example.org
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from case_store.settings import Settings

What = Literal["events", "checkpoints"]
Kind = Literal["file", "syslog+udp", "syslog+tcp", "syslog+tls", "mailto"]

_PORTS: Final = {"syslog+udp": 514, "syslog+tcp": 514, "syslog+tls": 6514}
_KINDS: Final = "file:///PATH, syslog+tls://HOST, syslog+tcp://HOST, syslog+udp://HOST"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,60}")
_STARTS: Final = {"beginning": True, "now": False}


class SinkRefused(ValueError):
    """The address of a sink cannot be used. The message never holds what could be a password."""


@dataclass(frozen=True, slots=True)
class Address:
    """A sink as the settings name it.

    Attributes:
        what: What it gets.
        kind: How it gets it.
        name: What people call it and its cursor is kept under: `events/siem`.
        url: The URL as it was given; it holds no secret.
        target: Path, host or mail address.
        port: The port, 0 where there is none.
        ca: Certificates (PEM) to trust in place of the system's; None to trust the system's.
        format: The format of events.
        beginning: Whether a new sink gets what was on record before it.
    """

    what: What
    kind: Kind
    name: str
    url: str
    target: str
    port: int = 0
    ca: Path | None = None
    format: str = "jsonl"
    beginning: bool = True

    @property
    def fingerprint(self) -> str:
        """A digest of the URL: whether it is another one than before can be told without keeping a mail address."""
        return sha256(self.url.encode()).hexdigest()


def configured(settings: Settings) -> list[Address]:
    """Return the sinks of the settings."""
    found = [parse(url, "checkpoints") for url in settings.checkpoint_to]
    return found + [parse(url, "events") for url in settings.forward_to]


def require_all(urls: Iterable[str], what: What) -> None:
    """Refuse addresses that cannot be used, and two of one name.

    Raises:
        SinkRefused: With the reason.
    """
    names = Counter(parse(url, what).name for url in urls)
    if twice := [name for name, count in names.items() if count > 1]:
        raise SinkRefused(f"two sinks are called {twice[0]}: give one of them another name (?name=...)")


def parse(url: str, what: What) -> Address:
    """Read one URL.

    Raises:
        SinkRefused: It is none that a sink can have.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SinkRefused(f"this is no URL of a sink ({error}); it looks like {_KINDS}") from None
    if parts.username is not None or parts.password is not None:
        raise SinkRefused("a sink's URL holds no user and no password: syslog knows neither")
    options = _options(parts, what)
    kind, target = _target(parts, what)
    return Address(
        what=what,
        kind=kind,
        name=f"{what}/{options.get('name') or _default_name(kind, target)}",
        url=url,
        target=target,
        port=port or _PORTS.get(kind, 0),
        ca=Path(options["ca"]) if "ca" in options else None,
        format=options.get("format", "jsonl"),
        beginning=_STARTS[options.get("from", "beginning")],
    )


def _target(parts: SplitResult, what: What) -> tuple[Kind, str]:
    kind = cast("Kind", parts.scheme)
    if kind in _PORTS:
        if not parts.hostname or parts.path not in {"", "/"}:
            raise SinkRefused(f"{_shown(parts)} names no host; write {kind}://HOST:PORT")
        return kind, parts.hostname
    if kind == "file":
        path = unquote(parts.path)
        if parts.netloc not in {"", "localhost"} or path.endswith("/") or not path or "\0" in path:
            raise SinkRefused(f"{_shown(parts)} names no file by its whole path; write file:///var/log/NAME.jsonl")
        return kind, path
    if kind == "mailto" and what == "checkpoints":
        if not re.fullmatch(r"[^\s@]+@[^\s@]+", address := unquote(parts.path)):
            raise SinkRefused("mailto: needs one address; write mailto:auditor@example.org")
        return kind, address
    also = ", mailto:ADDRESS" if what == "checkpoints" else ""
    raise SinkRefused(f"{parts.scheme or 'nothing'}: is no kind of sink for {what}; there are {_KINDS}{also}")


def _options(parts: SplitResult, what: What) -> dict[str, str]:
    given = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(given)
    known = set(_known_options(parts.scheme, what))
    if len(options) < len(given) or (strange := sorted(options.keys() - known)):
        wrong = "an option twice" if len(options) < len(given) else strange[0]
        raise SinkRefused(f"{_shown(parts)}: {wrong} is not understood; the options are {', '.join(sorted(known))}")
    if "name" in options and not _NAME.fullmatch(options["name"]):
        raise SinkRefused(f"{_shown(parts)}: a name has letters, digits, dots, dashes and underscores, 60 at most")
    if options.get("from", "now") not in _STARTS:
        raise SinkRefused(f"{_shown(parts)}: from is beginning or now")
    if "ca" in options and not options["ca"].startswith("/"):
        raise SinkRefused(f"{_shown(parts)}: ca is the whole path of a PEM file")
    if "format" in options:
        _require_format(options["format"], parts)
    return options


def _known_options(scheme: str, what: What) -> Iterator[str]:
    yield "name"
    if what == "events":
        yield from ("format", "from")
    if scheme == "syslog+tls":
        yield "ca"


def _require_format(name: str, parts: SplitResult) -> None:
    from case_store.audit.formats import FORMATS  # noqa: PLC0415 - loads the models

    usable = sorted(name for name, one in FORMATS.items() if one.lines_stand_alone)
    if name not in usable:
        there = ", ".join(usable)
        raise SinkRefused(f"{_shown(parts)}: there is no format {name!r} for single lines; there are {there}")


def _default_name(kind: Kind, target: str) -> str:
    if kind == "mailto":  # an address is personal: it is not written where it could never be erased
        return f"mail-{sha256(target.encode()).hexdigest()[:8]}"
    word = Path(target).name if kind == "file" else target
    return re.sub(r"[^A-Za-z0-9._-]", "_", word)[:60]


def _shown(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}{parts.path}" if parts.netloc or parts.path else f"{parts.scheme}:"
