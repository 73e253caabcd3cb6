"""Finds URLs in a text, where they end, and what is hidden in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from flows.actions.extraction import hosts, noise

MAX_URL: Final = 4096
_MOST_NESTED: Final = 5

_STOP: Final = r"\s<>\"`{}|\\^\u201c\u201d\u2018\u2019\u00ab\u00bb\u3000-\u3002\uff01-\uff1f\u300c-\u300f"
URL: Final = re.compile(
    rf"(?<![a-z0-9])(?P<scheme>https?|ftps?|sftp|wss?|ldaps?|smb|rtsp|tcp|udp)://(?P<rest>[^{_STOP}]{{3,{MAX_URL}}})",
    re.IGNORECASE,
)
_AUTHORITY: Final = re.compile(
    r"(?P<user>[^/?#@\s]*@)?(?P<host>\[[0-9a-f:.%]+\]|[^/?#:@\[\]\s]+)(?P<port>:\d{1,5})?(?=[/?#:,;)\]'.!]|$)(?P<path>.*)",
    re.IGNORECASE | re.DOTALL,
)
_NEXT: Final = re.compile(r"[,;](?=(?:https?|ftp)://)", re.IGNORECASE)
_PAIRS: Final = {")": "(", "]": "["}


def spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield beginning, end and text of each URL, without the punctuation of the sentence around it."""
    place = 0
    while found := URL.search(text, place):
        quote = text[found.start() - 1] if found.start() else ""
        url = _cut(found[0], quote)
        yield found.start(), found.start() + len(url), url
        place = found.start() + len(url)


def read(url: str) -> Iterator[tuple[str, str]]:
    """Yield what a URL stands for: itself, its host, and the URLs that it carries along (links that lead elsewhere)."""
    todo = [url]
    for _ in range(_MOST_NESTED):
        if not todo:
            return
        url = todo.pop()
        scheme, _, rest = url.partition("://")
        yield from _one(scheme.lower(), rest)
        for piece in rest.split("&"):
            todo += [_cut(found[0].split("__;")[0], "") for found in URL.finditer(unquote(piece))][:1]


def _one(scheme: str, rest: str) -> Iterator[tuple[str, str]]:
    found = _AUTHORITY.fullmatch(rest)
    if found is None or int((found["port"] or ":0")[1:]) > 65535:  # noqa: PLR2004
        return
    shown = found["host"].lower()
    plain = shown.strip("[]")
    at = hosts.address(hosts.odd_address(plain) or plain)
    if at is None:
        known = hosts.name(plain)
        if known is None or noise.is_namespace(known):
            return
        shown = known
    yield "url", f"{scheme}://{found['user'] or ''}{shown}{found['port'] or ''}{found['path']}"
    if at is not None:
        yield at
    elif (registered := hosts.domain(shown)) is not None:
        yield "domain", registered


def _cut(url: str, quote: str) -> str:
    """Cut a URL where the text around it goes on."""
    if following := _NEXT.search(url):
        url = url[: following.start()]
    if quote == "'":
        url = url.partition("'")[0]
    while url and (last := url[-1]) in ".,;:!?'*_)]":
        if last in _PAIRS and url.count(_PAIRS[last]) >= url.count(last):
            break  # as in Wikipedia's: .../Worm_(computing)
        if last == "_" and not url.endswith(("_.", "__")):
            break
        url = url[:-1]
    return url
