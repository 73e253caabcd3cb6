"""The key of the audit log: made at the first start, readable by its owner alone.

Beside the private key lies `audit-log.vkey`, one line that may be given to anybody: with it, and nothing else of ours,
checkpoints and exports are verified.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store.audit.checkpoints import NoteRefused, Signer, VerifierKey
from case_store.errors import AuditKeyUnusable

PRIVATE: Final = "audit-log.pem"
PUBLIC: Final = "audit-log.vkey"


def load_or_create(folder: Path) -> Signer:
    """Return the key in the folder; make one where there is none.

    Raises:
        AuditKeyUnusable: There is one that cannot be read, or the folder cannot be written.
    """
    private = folder / PRIVATE
    try:
        if not private.exists():
            _create(private)
        signer = _load(private)
        public, line = folder / PUBLIC, f"{signer.verifier()}\n"
        if not public.exists() or public.read_text(encoding="ascii", errors="replace") != line:
            public.write_text(line, encoding="ascii")
    except OSError as error:
        raise AuditKeyUnusable(f"the key of the audit log, {error.filename or private}: {error.strerror}") from error
    return signer


def public_key(folder: Path) -> VerifierKey:
    """Return the public half of the key in the folder.

    Raises:
        AuditKeyUnusable: There is none.
    """
    if not (folder / PUBLIC).exists():
        raise AuditKeyUnusable(
            f"there is no key of the audit log yet: {folder / PUBLIC}",
            next_step="start a relay once (casewright up), which makes one; or set CASEWRIGHT_KEY_FOLDER",
        )
    try:
        return VerifierKey.parse((folder / PUBLIC).read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError, NoteRefused) as error:
        raise AuditKeyUnusable(f"the public key of the audit log, {folder / PUBLIC}: {error}") from error


def _load(private: Path) -> Signer:
    try:
        key = serialization.load_pem_private_key(private.read_bytes(), password=None)
    except ValueError as error:
        raise AuditKeyUnusable(f"the key of the audit log, {private}, is no private key in PEM form") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise AuditKeyUnusable(f"the key of the audit log, {private}, is not an Ed25519 key")
    fingerprint = sha256(key.public_key().public_bytes_raw()).hexdigest()[:8]
    return Signer(f"casewright-{fingerprint}/audit", key)


def _create(private: Path) -> None:
    """Make a key; of several processes that do so at once, the first one's stays."""
    private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with NamedTemporaryFile(dir=private.parent, prefix=".new-") as out:  # readable by its owner alone
        out.write(pem)
        out.flush()
        os.fsync(out.fileno())
        with suppress(FileExistsError):
            os.link(out.name, private)
