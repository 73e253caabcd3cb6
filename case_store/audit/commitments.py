"""Salted commitments: what stands in an event in place of a personal value.

The construction is that of SD-JWT (RFC 9901, section 4.2), with a JSON pointer (RFC 6901) into the body of the event in
place of the name of a claim:

    disclosure = base64url(JSON [salt, pointer, value])     without padding; the salt has 128 bits
    digest     = base64url(SHA-256(disclosure))             without padding

The body holds `{"_sd": digest}`. Who has the disclosure can show that the value was there; once it is deleted, nobody
can tell the value or guess it, and the bytes of the event stay as they are.
"""

from __future__ import annotations

import json
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

SD: Final = "_sd"
ERASED: Final = "[erased]"
"""What is shown in place of a value whose disclosure is gone."""

_SALT_BYTES: Final = 16
_PSEUDONYM: Final = re.compile(r"erased-[0-9a-f]{12}")
_PARTS: Final = 3
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Personal:
    """A value that says something about somebody; `about` names the row whose erasure takes it away, as (type, id)."""

    value: object
    about: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Commitment:
    """What the body of an event holds of a personal value."""

    digest: str


def pseudonym(entity_id: str) -> str:
    """Return what stands in a table in place of an erased text: it tells rows apart and nothing else."""
    return f"erased-{sha256(entity_id.encode()).hexdigest()[:12]}"


def says_nothing(value: object) -> bool:
    """Tell whether a value needs no commitment: there is none, it is empty, or it is a pseudonym."""
    return value is None or value in ("", [], {}) or (isinstance(value, str) and bool(_PSEUDONYM.fullmatch(value)))


def commit_to(pointer: str, value: object) -> tuple[Commitment, str]:
    """Return the commitment to a value, and its disclosure.

    Args:
        pointer: Where in the body it stands.
        value: The value in its canonical form.
    """
    salt = secrets.token_urlsafe(_SALT_BYTES)
    disclosure = _encoded(_encode([salt, pointer, value]).encode())
    return Commitment(digest(disclosure)), disclosure


def digest(disclosure: str) -> str:
    """Return the digest of a disclosure."""
    return _encoded(sha256(disclosure.encode()).digest())


def opened(disclosure: str) -> tuple[str, Any]:
    """Return pointer and value of a disclosure.

    Raises:
        ValueError: It is none.
    """
    content = json.loads(urlsafe_b64decode(disclosure + "=" * (-len(disclosure) % 4)))
    if not isinstance(content, list) or len(content) != _PARTS or not isinstance(content[1], str):
        raise ValueError("this is no disclosure")
    return content[1], content[2]


@lru_cache(maxsize=4096)  # the steps are names of columns and facts, and few
def pointer(*steps: str | int) -> str:
    """Return the JSON pointer of these steps."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def digest_in(value: object) -> str | None:
    """Return the digest of a commitment as a body holds it; None for anything else."""
    found = value.get(SD) if isinstance(value, dict) and len(value) == 1 else None
    return found if isinstance(found, str) else None


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
