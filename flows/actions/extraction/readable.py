"""What there is to read in a piece of evidence: the strings of JSON, the parts of a message, the text of a page. Pure.

Nothing is unpacked that could grow without limit: no archives, no compressed documents. Their strings as they lie there
are read instead, and only what is certain is taken from them.
"""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flows.actions.extraction.finder import Care
from flows.actions.messages import Message, looks_like_message, read_message

# How deep JSON may hide in the strings of JSON, and messages in messages.
_NESTED: Final = 3
_MARKS: Final = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_STRINGS: Final = re.compile(rb"[\x20-\x7e]{6,}")
_WIDE_STRINGS: Final = re.compile(rb"(?:[\x20-\x7e]\x00){6,}")

# Requirements and versions look like addresses: `10.2.4.1` of PCI DSS. Wazuh puts such lists into every alert.
_NOT_READ: Final = frozenset({"gdpr", "gpg13", "hipaa", "mitre", "nist_800_53", "pci_dss", "tsc"})

_UNSEEN: Final = re.compile(r"<(script|style)\b[^<>]{0,2000}>(.*?)(?:</\1\s{0,20}>|\Z)", re.IGNORECASE | re.DOTALL)
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
# Between these tags a word goes on: `<b>phish</b>ing.example`.
_INLINE: Final = re.compile(
    r"</?(?:a|abbr|b|big|em|font|i|s|small|span|strong|sub|sup|u|wbr)(?:\s[^<>]*)?/?>", re.IGNORECASE
)
_TAG: Final = re.compile(r"<[^<>]*>")
_MARKUP: Final = re.compile(r"\s*(?:<!doctype html|<html|<head|<body|<\?xml|<!--|<[a-z][a-z0-9]*[\s>])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Text:
    """A text to search, and how careful to be with what looks like an observable in it."""

    content: str
    care: Care = "all"


def texts(content: bytes, *, name: str = "", media_type: str = "", depth: int = 0) -> Iterator[Text]:
    """Yield the texts of a piece of evidence, whatever it is.

    Args:
        content: Its bytes.
        name: What it is called; only the ending matters.
        media_type: What it is said to be, as a hint.
        depth: In how many messages it is attached.
    """
    decoded = decode(content)
    if decoded is None:
        yield Text(_strings(content), "certain")
    elif (values := _json(decoded)) is not None:
        yield Text("\n".join(values))
    elif depth < _NESTED and (message := _message(content)) is not None:
        yield from _of_message(message, depth + 1)
    elif _MARKUP.match(decoded) or media_type in {"text/html", "application/xml"}:
        yield from _markup(decoded)
    elif media_type == "text/csv" or name.lower().endswith((".csv", ".tsv")):
        yield Text("\n".join(_cells(decoded)))
    else:
        yield Text(decoded)


def decode(content: bytes) -> str | None:
    """Return bytes as text, or None when they are none."""
    for mark, encoding in (
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\0\0\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    head = content[:4096]
    if len(head) > 16 and head[1::2].count(0) > len(head) * 0.4 and head[::2].count(0) < 2:  # noqa: PLR2004
        return content.decode("utf-16-le", errors="replace")  # Windows writes it without a mark
    if b"\0" in head:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        odd = sum(byte < 9 or 13 < byte < 32 for byte in head)  # noqa: PLR2004 - control characters
        return None if odd > len(head) / 50 else content.decode("cp1252", errors="replace")


def _strings(content: bytes) -> str:
    plain = _STRINGS.findall(content)
    wide = (found[::2] for found in _WIDE_STRINGS.findall(content))
    return b"\n".join([*plain, *wide]).decode("ascii")


def _json(text: str) -> list[str] | None:
    """Return all strings of a JSON document, or of one document to a line; None when it is neither."""
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return [*_values(json.loads(text))]
    except (ValueError, RecursionError):
        pass
    found: list[str] = []
    for line in filter(str.strip, text.split("\n")):
        try:
            found += _values(json.loads(line))
        except (ValueError, RecursionError):
            return None
    return found


def _values(value: object) -> Iterator[str]:
    todo = [(value, 0)]
    while todo:
        one, depth = todo.pop()
        if isinstance(one, dict):
            todo += [(item, depth) for key, item in reversed(one.items()) if _is_read(key)]
        elif isinstance(one, list):
            todo += [(item, depth) for item in reversed(one)]
        elif isinstance(one, str):
            inner = _inner(one) if depth < _NESTED else None
            if inner is None:
                yield one
            else:
                todo.append((inner, depth + 1))


def _is_read(key: str) -> bool:
    small = key.lower()
    return small not in _NOT_READ and not small.endswith("version")


def _inner(text: str) -> object:
    if len(text) < 2 or text[0] + text[-1] not in {"{}", "[]"}:  # noqa: PLR2004
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _cells(text: str) -> Iterator[str]:
    """Split a table, so that a URL without quotes ends with its cell."""
    head = text[:2048]
    delimiter = max(",;\t", key=head.count)
    try:
        for row in csv.reader(text.splitlines(), delimiter=delimiter):
            yield from row
    except csv.Error:
        yield text


def _markup(text: str) -> Iterator[Text]:
    """Read a page as people see it, and then its tags and scripts, of which only URLs and the like are certain."""
    seen = _UNSEEN.sub("\n", _COMMENT.sub("", text))
    seen = _TAG.sub("\n", _INLINE.sub("", seen))
    yield Text(html.unescape(seen))
    yield Text(html.unescape(text), "certain")


def _message(content: bytes) -> Message | None:
    try:
        return read_message(content) if looks_like_message(content) else None
    except ValueError:
        return None


def _of_message(message: Message, depth: int) -> Iterator[Text]:
    yield Text("\n".join(message.header_lines()))
    for part in message.parts:
        if not part.is_text:
            yield from texts(part.content, name=part.name, depth=depth)
        elif part.subtype == "html":
            yield from _markup(part.text())
        else:
            yield Text(part.text())
