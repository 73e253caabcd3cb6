"""What a witness remembers: for each log the last checkpoint it confirmed, in a file of its own.

The file is the note itself, with the witness's line: an auditor can give it to the verifier as a saved checkpoint.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from case_store import durable
from case_store.audit import keyfile
from case_store.audit.checkpoints import Checkpoint, NoteRefused, Signer, VerifierKey, body_of, witnessed
from case_store.audit.witness import LogKeys, Request, Seen, judge
from case_store.errors import AuditKeyUnusable, WitnessStateUnusable

PRIVATE: Final = "witness.pem"
PUBLIC: Final = "witness.vkey"
_FORM: Final = "casewright-{}/witness"
_SUFFIX: Final = ".checkpoint"


def load_or_create_key(folder: Path, name: str | None = None) -> Signer:
    """Return the witness's key; make one, under this name, where there is none.

    Raises:
        AuditKeyUnusable: There is one that cannot be read or bears another name, or the folder cannot be written.
    """
    private = folder / PRIVATE
    try:
        if name is not None:
            VerifierKey.parse(str(VerifierKey(name, bytes(32))))
            name.encode("ascii")
        if not private.exists():
            keyfile.create(private, name)
        signer = keyfile.load(private, _FORM)
        keyfile.publish(folder / PUBLIC, str(signer.verifier().as_witness()))
    except OSError as error:
        raise AuditKeyUnusable(f"the key of the witness, {error.filename or private}: {error.strerror}") from error
    except (NoteRefused, UnicodeEncodeError) as error:
        raise AuditKeyUnusable(
            f"{name!r} is no name for a witness: {error}", next_step="take something like witness.example/w1"
        ) from error
    if name is not None and signer.name != name:
        raise AuditKeyUnusable(
            f"the witness in {folder} is called {signer.name}, not {name}",
            next_step="leave --name away, or take another folder with --state for another witness",
        )
    return signer


class Memory:
    """The checkpoints that a witness confirmed, in its folder; one process at a time has it."""

    def __init__(self, folder: Path, signer: Signer) -> None:
        self._folder = folder
        self._signer = signer
        self.seen = dict(self._read())

    def confirm(self, request: Request, keys: LogKeys, at: int) -> tuple[Checkpoint, str]:
        """Judge a request; remember the checkpoint and return it with the line that confirms it.

        It is on disk before the line is given away: whatever happens then, nothing else is confirmed in its place.

        Args:
            request: What was sent.
            keys: The keys of the logs that are witnessed here.
            at: Now, in seconds since 1970.

        Raises:
            Refused: It may not be confirmed.
            WitnessStateUnusable: It cannot be remembered.
        """
        checkpoint = judge(request, keys, self.seen)
        line = self._signer.cosign(request.note, at)
        try:
            content = _signed_by(checkpoint.origin, request.note) + line
            durable.write_whole(self._file(checkpoint.origin), content, mode=0o644)
        except OSError as error:
            raise WitnessStateUnusable(
                f"{error.filename or self._folder}: {error.strerror}", next_step="make room, or see the permissions"
            ) from error
        self.seen[checkpoint.origin] = Seen(checkpoint.size, checkpoint.root)
        return checkpoint, line

    def _file(self, origin: str) -> Path:
        readable = re.sub(r"[^A-Za-z0-9.-]+", "_", origin)[:60]
        return self._folder / f"{readable}-{sha256(origin.encode()).hexdigest()[:8]}{_SUFFIX}"

    def _read(self) -> Iterator[tuple[str, Seen]]:
        for file in sorted(self._folder.glob(f"*{_SUFFIX}")):
            try:
                note = file.read_text(encoding="utf-8")
                witnessed(note, self._signer.verifier().as_witness())
                checkpoint = Checkpoint.parse(body_of(note))
            except (OSError, ValueError) as error:
                raise WitnessStateUnusable(f"{file}: {error}") from error
            yield checkpoint.origin, Seen(checkpoint.size, checkpoint.root)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder of a witness; the kernel takes it back when the process dies.

    Raises:
        WitnessStateUnusable: Another witness runs on it, or it cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise WitnessStateUnusable(
            f"{error.filename}: {error.strerror}", next_step="name a folder that you may write with --state"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WitnessStateUnusable(
                f"another witness runs on {folder}", next_step="end that one, or name another folder with --state"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _signed_by(origin: str, note: str) -> str:
    """Return the note with the lines of the log alone: a stranger may have put others there."""
    lines = note.rpartition("\n\n")[2].splitlines()
    own = [f"{line}\n" for line in lines if line.startswith(f"\N{EM DASH} {origin} ")]
    return f"{body_of(note)}\n{''.join(own)}"
