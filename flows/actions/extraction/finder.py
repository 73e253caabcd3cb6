"""Finds observables in a text: addresses, domains, URLs, e-mail addresses and hashes. Pure.

Every expression either looks at a bounded stretch from where it starts, or can only start where the run of characters
it reads begins; so the time grows with the text and not with its square, whatever somebody writes into an alert.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from flows.actions.extraction import hosts, noise, urls
from flows.actions.extraction.refang import refanged

Observable: TypeAlias = tuple[str, str]
TYPES: Final = ("ip", "internal_ip", "domain", "url", "email", "md5", "sha1", "sha256")
Care: TypeAlias = Literal["all", "certain"]

_MAIL: Final = re.compile(r"(?<![\w.+%'-])(?P<local>[\w.+%'-]{1,64})@(?P<host>[^\W_][\w-]*(?:\.[\w-]+)+)")
_IPV4: Final = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\w)")
_IPV6: Final = re.compile(
    # At the end: not a network, such as `2001:db8::/32`.
    r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,8}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{0,4})(?![\w:])(?!(?<=::)/\d)",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"(?<![\w.@-])[\w-]+(?:\.[\w-]+)+")
_HEX: Final = re.compile(r"(?<!\w)[0-9a-f]{32,64}(?!\w)", re.IGNORECASE)
_HASHES: Final = {32: "md5", 40: "sha1", 64: "sha256"}


@dataclass(frozen=True, slots=True)
class _At:
    """An observable and where in the text it stands, so that the first in the text is the first in the case."""

    place: int
    item: Observable


def find(text: str, care: Care = "all") -> list[Observable]:
    """Return the observables of a text in the order in which they stand there, each once.

    Args:
        text: It should not be longer than some 100 KiB: nothing else runs while it is searched.
        care: "certain" leaves out bare names, for texts that are mostly code or not text at all.
    """
    text = refanged(text)
    found = [*_hashes(text)]
    rest = _without(text, found, _urls(text))
    rest = _without(rest, found, _mails(rest))
    found += _ipv6(rest)
    found += _ipv4(rest)
    if care == "all":
        found += _names(rest)
    found.sort(key=lambda one: one.place)
    return list(dict.fromkeys(one.item for one in found))


def _without(text: str, found: list[_At], spans: Iterator[tuple[int, int, list[Observable]]]) -> str:
    """Collect what stands at the spans, and return the text with blanks in their place."""
    parts, place = [], 0
    for start, end, items in spans:
        found += [_At(start, item) for item in items]
        parts += [text[place:start], " " * (end - start)]
        place = end
    return "".join([*parts, text[place:]]) if parts else text


def _urls(text: str) -> Iterator[tuple[int, int, list[Observable]]]:
    if "://" not in text:
        return
    for start, end, url in urls.spans(text):
        items = [*urls.read(url)]
        # Kits that steal passwords carry the address of their victim along.
        _, _, behind = url.partition("://")[2].partition("/")
        items += [item for _, _, mail in _mails(behind) for item in mail if item[0] == "email"]
        yield start, end, items


def _mails(text: str) -> Iterator[tuple[int, int, list[Observable]]]:
    if "@" not in text:
        return
    for found in _MAIL.finditer(text):
        local = found["local"].lstrip("'").lower()
        host = hosts.domain(found["host"].rstrip("-"))
        if host is not None and local and not local.startswith(".") and not local.endswith(".") and ".." not in local:
            yield found.start(), found.end(), [("email", f"{local}@{host}"), ("domain", host)]


def _ipv6(text: str) -> Iterator[_At]:
    if ":" in text:
        for found in _IPV6.finditer(text):
            if (item := hosts.address(found[0])) is not None:
                yield _At(found.start(), item)


def _ipv4(text: str) -> Iterator[_At]:
    for found in _IPV4.finditer(text):
        item = hosts.address(found[0])
        if item is not None and not noise.is_no_address(found[0], text, found.start(), found.end()):
            yield _At(found.start(), item)


def _names(text: str) -> Iterator[_At]:
    for found in _NAME.finditer(text):
        token = found[0].strip("-")
        host = hosts.domain(token)
        if host is None:
            continue
        before, after = text[max(0, found.start() - 2) : found.start()], text[found.end() : found.end() + 1]
        if not noise.is_no_domain(token, before, after):
            yield _At(found.start(), ("domain", host))


def _hashes(text: str) -> Iterator[_At]:
    for found in _HEX.finditer(text):
        kind = _HASHES.get(len(found[0]))
        if kind is not None and not noise.is_no_hash(found[0].lower()):
            yield _At(found.start(), (kind, found[0].lower()))
