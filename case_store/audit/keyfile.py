"""Private keys in files: made once, readable by their owner alone, whole at every moment.

A file is a private key in PEM form. The line before it, which readers of PEM pass over (RFC 7468, section 2), may name
what the key signs for; so name and key change in one step.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store import durable
from case_store.audit.checkpoints import NoteRefused, Signer
from case_store.errors import AuditKeyUnusable

_NAMED: Final = b"Name: "
_BEGIN: Final = b"-----BEGIN"


def create(file: Path, name: str | None = None) -> None:
    """Make a key; of several processes that do so at once, the first one's stays, as does one that is there."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with NamedTemporaryFile(dir=file.parent, prefix=".new-") as out:  # readable by its owner alone
        out.write((_NAMED + name.encode() + b"\n" if name else b"") + pem)
        out.flush()
        os.fsync(out.fileno())
        with suppress(FileExistsError):
            os.link(out.name, file)
    durable.sync_folder(file.parent)


def load(file: Path, form: str) -> Signer:
    """Return the key in a file; without a name of its own it gets `form`, with its fingerprint in place of {}.

    Raises:
        AuditKeyUnusable: It is no Ed25519 key in PEM form, or its name is none.
        OSError: It cannot be read.
    """
    head, begin, rest = file.read_bytes().partition(_BEGIN)
    try:
        key = serialization.load_pem_private_key(begin + rest, password=None)
    except (ValueError, TypeError) as error:
        raise AuditKeyUnusable(f"the key {file} is no private key in PEM form") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise AuditKeyUnusable(f"the key {file} is not an Ed25519 key")
    fingerprint = sha256(key.public_key().public_bytes_raw()).hexdigest()[:8]
    named = head.removeprefix(_NAMED).strip().decode("utf-8", "replace") if head.startswith(_NAMED) else ""
    try:
        return Signer(named or form.format(fingerprint), key)
    except NoteRefused as error:
        raise AuditKeyUnusable(f"the key {file} names itself wrongly: {error}") from error


def publish(file: Path, line: str) -> None:
    """Write the public key beside the private one, if it is not there yet."""
    if not file.exists() or file.read_text(encoding="ascii", errors="replace") != f"{line}\n":
        durable.write_whole(file, f"{line}\n", mode=0o644)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else moves keys about in a folder, and keep them out meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
