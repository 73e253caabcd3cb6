"""The key of the audit log: made at the first start, readable by its owner alone.

Beside the private key lies `audit-log.vkey`, one line that may be given to anybody: with it, and nothing else of ours,
checkpoints and exports are verified. While the key is being changed (see `rotation`), the next one lies there too.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from case_store import durable
from case_store.audit import keyfile
from case_store.audit.checkpoints import NoteRefused, Signer, VerifierKey
from case_store.errors import AuditKeyUnusable

PRIVATE: Final = "audit-log.pem"
PUBLIC: Final = "audit-log.vkey"
NEXT: Final = "audit-log.next.pem"
_FORM: Final = "casewright-{}/audit"


def load_or_create(folder: Path) -> Signer:
    """Return the key in the folder; make one where there is none.

    Raises:
        AuditKeyUnusable: There is one that cannot be read, or the folder cannot be written.
    """
    private = folder / PRIVATE
    try:
        if not private.exists():
            keyfile.create(private)
        signer = keyfile.load(private, _FORM)
        keyfile.publish(folder / PUBLIC, str(signer.verifier()))
    except OSError as error:
        raise _unusable(error, private) from error
    return signer


def load(folder: Path) -> Signer:
    """Return the key in the folder.

    Raises:
        AuditKeyUnusable: There is none, or it cannot be read.
    """
    try:
        return keyfile.load(folder / PRIVATE, _FORM)
    except OSError as error:
        raise _unusable(error, folder / PRIVATE) from error


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


def prepare_next(folder: Path, name: str) -> Signer:
    """Return the key that is to come, for the same log; one that an interrupted change left behind is taken.

    Raises:
        AuditKeyUnusable: The folder cannot be written, or what lies there is of another log.
    """
    try:
        keyfile.create(folder / NEXT, name)
        signer = keyfile.load(folder / NEXT, _FORM)
    except OSError as error:
        raise _unusable(error, folder / NEXT) from error
    if signer.name != name:
        raise AuditKeyUnusable(
            f"{folder / NEXT} is for the log {signer.name}, and this log is {name}",
            next_step="move that file away, then run the command again",
        )
    return signer


def take_next(folder: Path, current: str, *, destroy_old: bool = False) -> Signer | None:
    """Put the next key in the place of the old one if it is the log's current one; repeats what was interrupted.

    Args:
        folder: The folder of the keys.
        current: The public key that signs for the log by now.
        destroy_old: Do not keep the old key (as `audit-log.KEYID.pem`, readable by its owner alone).

    Returns:
        The key that is the log's; None if there is none in the folder.

    Raises:
        AuditKeyUnusable: A key cannot be read, or the folder cannot be written.
    """
    try:
        with keyfile.alone(folder):
            signer = _put_in_place(folder, current, destroy_old=destroy_old)
            if signer is not None:
                keyfile.publish(folder / PUBLIC, current)
    except OSError as error:
        raise _unusable(error, folder / PRIVATE) from error
    return signer


def _put_in_place(folder: Path, current: str, *, destroy_old: bool) -> Signer | None:
    private, following = folder / PRIVATE, folder / NEXT
    there = keyfile.load(private, _FORM) if private.exists() else None
    if there is not None and str(there.verifier()) == current:
        return there
    if not following.exists() or str((signer := keyfile.load(following, _FORM)).verifier()) != current:
        return None
    if there is not None and not destroy_old:
        with suppress(FileExistsError):
            os.link(private, archived(folder, there.verifier()))
    following.replace(private)
    durable.sync_folder(folder)
    return signer


def destroy(folder: Path, old: VerifierKey) -> None:
    """Remove a key that is not the log's any more.

    Raises:
        AuditKeyUnusable: It cannot be removed.
    """
    try:
        archived(folder, old).unlink(missing_ok=True)
        durable.sync_folder(folder)
    except OSError as error:
        raise _unusable(error, archived(folder, old)) from error


def archived(folder: Path, old: VerifierKey) -> Path:
    """Return where a key lies that is not the log's any more."""
    return folder / f"audit-log.{old.key_id.hex()}.pem"


def _unusable(error: OSError, file: Path) -> AuditKeyUnusable:
    return AuditKeyUnusable(f"the key of the audit log, {error.filename or file}: {error.strerror}")
