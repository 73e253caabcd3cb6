"""The keys that sign links, and what else comes back to us by way of strangers.

The file holds one key a line, the oldest first: the last one signs, all of them are believed. So a key is replaced
by adding a line, and the old line is taken out when what it signed has expired.
"""

from __future__ import annotations

import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from itsdangerous import BadSignature, TimestampSigner, URLSafeTimedSerializer

from case_store import durable
from case_store.errors import LinkKeyUnusable

FILE: Final = "links.key"
_LINK: Final = "casewright.link.v1"
_SHORTEST: Final = 32
MARK_BYTES: Final = 10
_HOW: Final[dict[str, Any]] = {"digest_method": sha256, "key_derivation": "hmac"}


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """Signs and reads; nothing of the keys is ever shown."""

    _keys: tuple[str, ...] = field(repr=False)

    @classmethod
    def load(cls, folder: Path) -> LinkKeys:
        """Read the keys of an installation; the first process that asks makes one.

        Raises:
            LinkKeyUnusable: The file cannot be read, or holds no keys.
        """
        file = folder / FILE
        try:
            if not file.exists():
                _create(file)
            lines = file.read_text(encoding="ascii").split()
        except (OSError, UnicodeDecodeError) as error:
            raise LinkKeyUnusable(f"the key {file} cannot be read: {type(error).__name__}") from error
        if not lines or any(len(line) < _SHORTEST for line in lines):
            raise LinkKeyUnusable(f"{file} holds no keys: a key is a line of {_SHORTEST} characters or more")
        return cls(tuple(lines))

    def new_link(self) -> tuple[str, str]:
        """Return a new token, and the digest of the name in it."""
        name = secrets.token_urlsafe(16)
        return self._link_signer().sign(name).decode(), digest(name)

    def link_of(self, message: str) -> tuple[str, str]:
        """Return the token of a message, the same each time it is asked for, and the digest of the name in it."""
        made = hmac.digest(self._keys[-1].encode(), f"{_LINK}:{message}".encode(), "sha256")
        name = urlsafe_b64encode(made[:16]).rstrip(b"=").decode()
        return self._link_signer().sign(name).decode(), digest(name)

    def read_link(self, token: str) -> str | None:
        """Return the digest of the name in a token; None when none of our keys signed it."""
        try:
            return digest(self._link_signer().unsign(token).decode())
        except (BadSignature, UnicodeError):
            return None

    def mark(self, purpose: str, content: bytes) -> bytes:
        """Return a short signature, for where there is room for few characters; 80 bits, tried only against us."""
        return _mark(self._keys[-1], purpose, content)

    def has_mark(self, purpose: str, content: bytes, mark: bytes) -> bool:
        """Tell whether one of our keys made this mark."""
        return any(hmac.compare_digest(_mark(key, purpose, content), mark) for key in self._keys)

    def signer(self, purpose: str) -> URLSafeTimedSerializer:
        """Return what signs for one purpose; what is signed for another is not taken."""
        return URLSafeTimedSerializer(list(self._keys), salt=purpose, signer_kwargs=_HOW)

    def _link_signer(self) -> TimestampSigner:
        # Without the serializer, so that a text has room for the link.
        return TimestampSigner(list(self._keys), salt=_LINK, **_HOW)


def _mark(key: str, purpose: str, content: bytes) -> bytes:
    of_purpose = hmac.digest(key.encode(), purpose.encode(), sha256)
    return hmac.digest(of_purpose, content, sha256)[:MARK_BYTES]


def digest(name: str) -> str:
    """Return the SHA-256 of a name, in hexadecimal: what the database knows of it."""
    return sha256(name.encode()).hexdigest()


def add_key(folder: Path) -> Path:
    """Have a new key sign from now on; what older ones signed is still believed. Return the file.

    Raises:
        LinkKeyUnusable: The file that is there cannot be read, or holds no keys.
    """
    keys = LinkKeys.load(folder)
    durable.write_whole(folder / FILE, "\n".join([*keys._keys, _new()]) + "\n", mode=0o600)  # noqa: SLF001
    return folder / FILE


def _create(file: Path) -> None:
    """Make the file; of several processes that do so at once, the first one's stays."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=file.parent, prefix=".new-") as out:  # readable by its owner alone
        out.write(f"{_new()}\n")
        out.flush()
        os.fsync(out.fileno())
        with suppress(FileExistsError):
            os.link(out.name, file)
    durable.sync_folder(file.parent)


def _new() -> str:
    return secrets.token_urlsafe(32)
