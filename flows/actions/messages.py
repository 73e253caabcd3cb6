"""Reads e-mail messages as they come: broken encodings, headers twice, parts in parts. Pure.

The parser is the standard library's, with its old policy. The new one (`email.policy.default`) reads headers by a
grammar that stops with an IndexError at `From: <` or `Message-ID: <<>@[]` and needs half a minute for 60 KB of quotes;
and what we read is written by attackers. So headers are kept as they stand, cut to a length, and read here.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import quopri
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import MessageError
from email.message import Message as Parsed
from email.policy import Compat32
from typing import Final

MAX_PARTS: Final = 1_000

_LONGEST_HEADER: Final = 16 * 1024
# The library reads parameters in quadratic time.
_LONGEST_CONTENT_HEADER: Final = 2 * 1024
_HEADER_BLOCK: Final = 64 * 1024

_WORD: Final = re.compile(r"=\?([\w.:*+-]{1,40})\?([bq])\?([^?\r\n]*)\?=", re.IGNORECASE)
_BETWEEN_WORDS: Final = re.compile(r"(?<=\?=)\s+(?==\?)")
_FOLD: Final = re.compile(r"\r?\n(?=[ \t])|[\r\n\0]")
# A quote that is never closed takes all that follows, as a mail program reads it; it also keeps the search linear.
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)', re.DOTALL)
_COMMENT: Final = re.compile(r"\([^()]*\)")
_ANGLE: Final = re.compile(r"<([^<>]*)>")
_ADDRESS: Final = re.compile(r"[^\s<>@\",;:()\[\]]{1,64}@[^\s<>@\",;:()\[\]]{1,253}")
_HEADER: Final = re.compile(rb"^([!-9;-~]{1,60}):", re.MULTILINE)
# Codecs of Python that no message is written in; the first takes a minute for half a megabyte.
_NO_CHARSETS: Final = frozenset({"punycode", "idna", "raw-unicode-escape", "unicode-escape", "undefined"})
_KNOWN: Final = frozenset(
    {b"cc", b"content-type", b"date", b"delivered-to", b"from", b"message-id", b"mime-version", b"received"}
    | {b"reply-to", b"return-path", b"sender", b"subject", b"to"}
)
# These hold ids and signatures, which look like addresses and domains.
_MACHINE_HEADERS: Final = ("arc-", "dkim-", "domainkey-", "x-ms-", "x-google-", "x-gm-", "x-microsoft-", "x-forefront-")
_ID_HEADERS: Final = frozenset(
    {"message-id", "in-reply-to", "references", "content-id", "x-mailer", "user-agent", "mime-version"}
)


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of a message: a text, an attached file, or an attached message."""

    name: str
    media_type: str
    attached: bool
    content: bytes = field(repr=False)
    charset: str = ""

    @property
    def is_text(self) -> bool:
        """Whether it is there to be read."""
        return self.media_type.startswith(("text/", "multipart/")) and not self.attached

    @property
    def subtype(self) -> str:
        """What comes after the slash of the media type."""
        return self.media_type.partition("/")[2]

    def text(self) -> str:
        """Return the content as text, whatever its encoding says."""
        return _decoded(self.content, self.charset)


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its headers as they stand, and its leaves in order. `cut` says that there were too many leaves."""

    headers: Sequence[tuple[str, str]]
    parts: Sequence[Part] = field(repr=False)
    cut: bool = False

    def header(self, name: str) -> str:
        """Return the first header of a name, decoded and on one line; empty when there is none."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        """Return all headers of a name, decoded, each on one line."""
        return [decoded_header(value) for key, value in self.headers if key.lower() == name]

    def addresses(self, name: str) -> list[str]:
        """Return the addresses in the headers of a name, without the names of people."""
        return list(
            dict.fromkeys(one for key, value in self.headers if key.lower() == name for one in addresses(value))
        )

    def header_lines(self) -> Iterator[str]:
        """Yield what people and mail servers say in the headers; no ids, no signatures."""
        for key, value in self.headers:
            if key.lower() not in _ID_HEADERS and not key.lower().startswith(_MACHINE_HEADERS):
                yield decoded_header(value)


class _Bounded(Compat32):
    """Keeps only the beginning of endless headers."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        longest = _LONGEST_CONTENT_HEADER if name.lower().startswith("content-") else _LONGEST_HEADER
        return name, value[:longest]


_AS_IT_CAME: Final = _Bounded(mangle_from_=False, max_line_length=0)


def looks_like_message(content: bytes) -> bool:
    """Tell whether bytes begin like an e-mail message: headers that every mail server writes, and nothing before."""
    block = _tidy(content[:_HEADER_BLOCK]).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not (_HEADER.match(block) or block.startswith(b"From ")):
        return False
    names = {name.lower() for name in _HEADER.findall(block.partition(b"\n\n")[0])}
    return len(names & _KNOWN) >= 2  # noqa: PLR2004 - one alone may stand in any text


def read_message(content: bytes) -> Message:
    """Read a message.

    Raises:
        ValueError: It is nested so deeply that it must be made for harm.
    """
    try:
        parsed = message_from_bytes(_tidy(content), policy=_Bounded())
        parts = list(_leaves(parsed))
    except (RecursionError, MessageError) as error:
        raise ValueError("the message is nested too deeply") from error
    return Message(_headers(parsed), parts[:MAX_PARTS], cut=len(parts) > MAX_PARTS)


def decoded_header(value: str) -> str:
    """Return a header as people read it: unfolded, with its encoded words (RFC 2047) decoded as well as possible."""
    text = " ".join(_FOLD.sub(" ", value).split())
    if "=?" in text:
        text = " ".join(_WORD.sub(_word, _BETWEEN_WORDS.sub("", text)).split())
    # No character that steers a terminal or turns the direction of writing: `gpj.exe` shown as `exe.jpg`.
    return "".join(one for one in text if one.isprintable())


def addresses(value: str) -> list[str]:
    """Return the addresses of a header as it stands, in lower case.

    What stands in quotes, comments and encoded words is a name, whatever it looks like: in
    `"ceo@corp.example" <thief@bad.example>` there is one address.
    """
    text = _COMMENT.sub(" ", _COMMENT.sub(" ", _QUOTED.sub(" ", _WORD.sub(" ", _FOLD.sub(" ", value)))))
    found: list[str] = []
    for piece in re.split("[,;]", text):
        angles = _ANGLE.findall(piece)
        match = _ADDRESS.search(angles[-1] if angles else piece)
        if match:
            found.append(match[0].lower())
    return found


def _tidy(content: bytes) -> bytes:
    return content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n\t ")


def _headers(parsed: Parsed) -> list[tuple[str, str]]:
    return [(name, _decoded(str(value).encode("utf-8", "surrogateescape"), "")) for name, value in parsed.raw_items()]


def _leaves(parsed: Parsed) -> Iterator[Part]:
    # Not `walk()`: the parts of an attached message are not parts of this one.
    todo: list[Parsed] = [parsed]
    seen = 0
    while todo and seen <= MAX_PARTS:
        one = todo.pop()
        payload = one.get_payload()
        if one.get_content_maintype() == "multipart" and isinstance(payload, list):
            todo += reversed([part for part in payload if isinstance(part, Parsed)])
        else:
            seen += 1
            yield _leaf(one, payload)


def _leaf(one: Parsed, payload: object) -> Part:
    media_type = one.get_content_type()
    name = _tolerant_name(one)
    if isinstance(payload, list):
        inner = b"\n".join(part.as_bytes(policy=_AS_IT_CAME) for part in payload if isinstance(part, Parsed))
        if media_type == "message/rfc822":
            name = name or "message.eml"
            inner = _unwrapped(inner, str(one.get("content-transfer-encoding", "")))
        return Part(name, media_type, attached=True, content=inner)
    raw = one.get_payload(decode=True)
    content = raw if isinstance(raw, bytes) else b""
    disposition = str(one.get("content-disposition", "")).strip().lower()
    attached = disposition.startswith("attachment") or bool(name) or not media_type.startswith(("text/", "multipart/"))
    return Part(name, media_type, attached, content, one.get_content_charset("") or "")


def _unwrapped(inner: bytes, encoding: str) -> bytes:
    """Undo the encoding of an attached message, which RFC 2046 forbids and some gateways write."""
    if encoding.strip().lower() != "base64":
        return inner
    try:
        return base64.b64decode(re.sub(rb"\s", b"", inner), validate=True)
    except (binascii.Error, ValueError):
        return inner


def _tolerant_name(one: Parsed) -> str:
    """Return the name of a file without folders, so that saving it under its name stays where it was meant to be."""
    try:
        name = decoded_header(one.get_filename("") or "").replace("\\", "/").rpartition("/")[2].strip()
    except (LookupError, TypeError, ValueError):
        return "unnamed"
    return "unnamed" if name and not name.strip(".") else name


def _word(found: re.Match[str]) -> str:
    charset, encoding, text = found[1].partition("*")[0], found[2].lower(), found[3]
    if encoding == "q":
        content = quopri.decodestring(text.replace("_", " ").encode("utf-8", "replace"), header=False)
    else:
        try:
            content = base64.b64decode(re.sub(r"[^A-Za-z0-9+/]", "", text) + "===")
        except (binascii.Error, ValueError):
            return found[0]
    return " ".join(_FOLD.sub(" ", _decoded(content, charset)).split("\0"))


def _decoded(content: bytes, charset: str) -> str:
    for one in (charset, "utf-8"):
        try:
            if codecs.lookup(one or "utf-8").name not in _NO_CHARSETS:
                return content.decode(one or "utf-8")
        except (LookupError, UnicodeError, ValueError):
            continue
    return content.decode("cp1252", errors="replace")
