"""What a witness does: it confirms that a log only grew since it looked last.

C2SP `tlog-witness` and `tlog-cosignature` (https://c2sp.org). Here is what a request says and what the answer is,
without network and without files; `witness_memory` keeps what was seen.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from case_store.audit.checkpoints import Checkpoint, NoteRefused, VerifierKey, body_of, opened
from case_store.audit.merkle import EMPTY_ROOT, HASH_BYTES
from case_store.audit.proofs import LONGEST_PROOF, ProofRefused, check_consistency

PATH: Final = "/add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"
LONGEST_REQUEST: Final = 64 * 1024  # bytes
_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")

BAD_REQUEST, FORBIDDEN, UNKNOWN, CONFLICT, UNPROVEN = 400, 403, 404, 409, 422

LogKeys = Mapping[str, Sequence[VerifierKey]]
"""The keys that may sign for each log, by the name of the log."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The tree of a log that a witness confirmed last; none yet is the tree without leaves."""

    size: int = 0
    root: bytes = EMPTY_ROOT


class Refused(Exception):
    """The checkpoint is not confirmed. `status` is that of HTTP; `size` is what was seen last, where that matters."""

    def __init__(self, status: int, reason: str, size: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.size = size


@dataclass(frozen=True, slots=True)
class Request:
    """A checkpoint, and the proof that it continues the tree of `old` leaves."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def text(self) -> str:
        """Return it as it is sent."""
        lines = [f"old {self.old}", *(b64encode(one).decode() for one in self.proof), "", self.note]
        return "\n".join(lines)

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read what was sent.

        Raises:
            Refused: It has not the form that the protocol says.
        """
        try:
            head, blank, note = content.decode().partition("\n\n")
        except UnicodeDecodeError:
            raise Refused(BAD_REQUEST, "the request is not UTF-8") from None
        first, *lines = head.split("\n")
        old = _OLD.fullmatch(first)
        if old is None or not blank or len(lines) > LONGEST_PROOF:
            raise Refused(BAD_REQUEST, "a request is a line 'old SIZE', at most 63 hashes, a blank line, a checkpoint")
        return cls(int(old[1]), tuple(_hash(line) for line in lines), note)


def judge(request: Request, keys: LogKeys, seen: Mapping[str, Seen]) -> Checkpoint:
    """Return the checkpoint if it may be confirmed: its log is known, has signed it, and only grew.

    Raises:
        Refused: One of these does not hold.
    """
    checkpoint = _signed(request.note, keys)
    last = seen.get(checkpoint.origin, Seen())
    if request.old > checkpoint.size:
        raise Refused(BAD_REQUEST, f"the old size {request.old} is greater than that of the checkpoint")
    if request.old != last.size:
        raise Refused(CONFLICT, f"{last.size} events were confirmed last, not {request.old}", last.size)
    if checkpoint.size == last.size and checkpoint.root != last.root:
        raise Refused(CONFLICT, f"another tree of {last.size} events was confirmed before", last.size)
    if not last.size:
        if request.proof:
            raise Refused(UNPROVEN, "there is a proof where nothing is to be proven")
        return checkpoint
    try:
        check_consistency(last.size, last.root, checkpoint.size, checkpoint.root, request.proof)
    except ProofRefused as error:
        raise Refused(UNPROVEN, str(error)) from None
    return checkpoint


def _signed(note: str, keys: LogKeys) -> Checkpoint:
    try:
        checkpoint = Checkpoint.parse(body_of(note))
    except NoteRefused as error:
        raise Refused(BAD_REQUEST, str(error)) from None
    if not (trusted := keys.get(checkpoint.origin)):
        raise Refused(UNKNOWN, "this log is not one that is witnessed here")
    for key in trusted:
        try:
            opened(note, key)
        except NoteRefused:
            continue
        return checkpoint
    raise Refused(FORBIDDEN, "no key that is trusted for this log has signed the checkpoint")


def _hash(line: str) -> bytes:
    try:
        content = b64decode(line, validate=True)
    except (Base64Error, ValueError):
        content = b""
    if len(content) != HASH_BYTES:
        raise Refused(BAD_REQUEST, "a line of the proof is no hash of 32 bytes in base64")
    return content
