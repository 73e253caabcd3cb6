"""The action `file.identify`."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from threading import Event
from typing import BinaryIO, Final

import puremagic

from flows.actions import parameters
from flows.actions.contract import ActionContext, ActionFailed, Result, action

_CHUNK: Final = 1024 * 1024
_HEAD: Final = 1024 * 1024
_UNKNOWN: Final = "application/octet-stream"
# What puremagic knows without a media type of its own.
_NAMELESS: Final = {".lnk": "application/x-ms-shortcut"}
_ELF: Final = b"\x7fELF"
_TEXT_TYPES: Final = ("text/", "message/", "application/json", "application/xml", "application/javascript", "image/svg")
_SCRIPTS: Final = frozenset(
    [".bat", ".cmd", ".hta", ".js", ".jse", ".ps1", ".psm1", ".py", ".sh", ".vbe", ".vbs", ".wsf", ".yaml", ".yml"]
)
_RUNS: Final = frozenset(
    [
        ".bat",
        ".cmd",
        ".com",
        ".cpl",
        ".exe",
        ".hta",
        ".js",
        ".jse",
        ".lnk",
        ".msi",
        ".pif",
        ".ps1",
        ".scr",
        ".vbe",
        ".vbs",
        ".wsf",
    ]
)
_READS: Final = frozenset(
    [
        ".csv",
        ".doc",
        ".docx",
        ".gif",
        ".htm",
        ".html",
        ".jpeg",
        ".jpg",
        ".pdf",
        ".png",
        ".ppt",
        ".pptx",
        ".rtf",
        ".txt",
        ".xls",
        ".xlsx",
    ]
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What bytes are: their media type, and the extensions such a file may bear (none when nobody knows)."""

    media_type: str
    extensions: frozenset[str]


@action(name="file.identify", idempotent=True, title="Identify a file")
async def identify(context: ActionContext, evidence: str) -> Result:
    """Say what a piece of evidence is by its bytes, and give its hashes; the size does not matter.

    Fields: `media_type`, `size`, `sha256`, `sha1`, `md5`, `extension`, `extension_fits` (false when the name says
    something else than the bytes), `double_extension` (true for the likes of `invoice.pdf.exe`).

    Args:
        context: The context.
        evidence: Its id, or its name.
    """
    facts = await parameters.evidence(context, evidence)
    stop = Event()
    with context.open(facts) as stream:
        try:
            size, head, hashes = await asyncio.to_thread(_read, stream, stop)
        finally:
            stop.set()  # a thread cannot be cancelled; this one then ends with its present chunk
    if hashes["sha256"] != facts.sha256:
        step = "treat the evidence folder as damaged or tampered with: keep a copy of it, then restore a backup"
        raise ActionFailed(f"evidence {facts.id} does not have the SHA-256 that is on record", next_step=step)
    kind = kind_of(head)
    endings = [one.lower() for one in PurePath(facts.name).suffixes[-2:]]
    fields = {
        "media_type": kind.media_type,
        "size": size,
        **hashes,
        "extension": endings[-1] if endings else "",
        "extension_fits": fits(endings[-1], kind) if endings else True,
        "double_extension": is_disguised(endings),
    }
    return Result(fields=fields, observables=list(hashes.items()) if size else [])


def _read(stream: BinaryIO, stop: Event) -> tuple[int, bytes, dict[str, str]]:
    hashes = {
        "sha256": hashlib.sha256(),
        "sha1": hashlib.sha1(usedforsecurity=False),
        "md5": hashlib.md5(usedforsecurity=False),
    }
    size, head = 0, b""
    while not stop.is_set() and (chunk := stream.read(_CHUNK)):
        size += len(chunk)
        head += chunk[: _HEAD - len(head)]
        for one in hashes.values():
            one.update(chunk)
    return size, head, {name: one.hexdigest() for name, one in hashes.items()}


def kind_of(head: bytes) -> Kind:
    """Tell from its first bytes what a file is."""
    if head.startswith(_ELF):
        return Kind("application/x-executable", frozenset({".elf", ".so", ".bin", ".o", ".ko"}))
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        matches = []
    extensions = frozenset(one.extension.lower() for one in matches if one.extension)
    named = (one.mime_type or _NAMELESS.get(one.extension, "") for one in matches)
    if (media_type := next(filter(None, named), "")) or extensions:
        return Kind(media_type or _UNKNOWN, extensions)
    return Kind("text/plain" if head and is_text(head) else _UNKNOWN, frozenset())


def fits(extension: str, kind: Kind) -> bool:
    """Tell whether an extension goes with what the bytes are; in doubt it does."""
    claimed = mimetypes.types_map.get(extension, "")
    if extension in kind.extensions or kind.media_type in (claimed, _UNKNOWN):
        return True
    both_text = _is_texty(kind.media_type) and (_is_texty(claimed) or extension in _SCRIPTS)
    return both_text or not claimed


def is_disguised(endings: Sequence[str]) -> bool:
    """Tell whether a name ends like a document and then like a program."""
    return len(endings) == 2 and endings[0] in _READS and endings[1] in _RUNS  # noqa: PLR2004


def is_text(content: bytes) -> bool:
    """Tell whether bytes, perhaps cut at their end, are UTF-8 text."""
    if b"\0" in content:
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(content) - 3
    return True


def _is_texty(media_type: str) -> bool:
    return media_type.startswith(_TEXT_TYPES) or media_type.endswith(("+xml", "+json"))
