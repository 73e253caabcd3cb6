"""The action `file.identify`."""

import asyncio
import hashlib
from pathlib import PurePath
from typing import Any

import puremagic

from flows.actions.contract import ActionContext, EvidenceFacts, Result, action

_CHUNK = 1024 * 1024
_UNKNOWN = "application/octet-stream"


@action(name="file.identify", idempotent=True, title="Identify a file")
async def identify(context: ActionContext, evidence: str) -> Result:
    """Say what a piece of evidence is by its bytes, and give its hashes."""
    facts = await context.evidence(evidence)
    fields = await asyncio.to_thread(_identified, context, facts)
    hashes = [(name, str(fields[name])) for name in ("md5", "sha1", "sha256")]
    return Result(fields=fields, observables=hashes if fields["size"] else [])


def _identified(context: ActionContext, facts: EvidenceFacts) -> dict[str, Any]:
    hashes = {
        "sha256": hashlib.sha256(),
        "sha1": hashlib.sha1(usedforsecurity=False),
        "md5": hashlib.md5(usedforsecurity=False),
    }
    size = 0
    head = b""
    with context.open(facts) as stream:
        while chunk := stream.read(_CHUNK):
            head = head or chunk
            size += len(chunk)
            for one in hashes.values():
                one.update(chunk)
    extension = PurePath(facts.name).suffix.lower()
    media_type = _media_type(head)
    return {
        "media_type": media_type,
        "size": size,
        **{name: one.hexdigest() for name, one in hashes.items()},
        "extension": extension,
        "extension_fits": True,
    }


def _media_type(head: bytes) -> str:
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return _UNKNOWN
    return next((one.mime_type for one in matches if one.mime_type), _UNKNOWN)
