"""Signed notes and checkpoints: short texts that anyone can check with a line of public key.

Formats: C2SP `signed-note` (Ed25519, algorithm 0x01), `tlog-checkpoint`, and `tlog-cosignature` (algorithm 0x04) for
witnesses; see https://c2sp.org. A checkpoint says how many events the log holds and what the root of their tree is:

    casewright.example/audit
    1204
    6MHjkGhOaPUjvHDBvwBuYrJBwvEoZWnTQ4cVn8yyRUE=

    — casewright.example/audit Az3grlgt...
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from case_store.audit.merkle import HASH_BYTES

ED25519: Final = 1
COSIGNATURE: Final = 4
_DASH: Final = "\N{EM DASH}"
_NAME: Final = re.compile(r"[^\s+\u0000-\u001f\u007f]{1,200}")
_SIGNATURE: Final = re.compile(rf"{_DASH} (\S+) (\S+)")


_LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999, in seconds since 1970."""


class NoteRefused(ValueError):
    """A text is no signed note, or its signature is not that of the key."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under; its text is one line, the `vkey`."""

    name: str
    public: bytes
    algorithm: int = ED25519

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a line like `NAME+1a2b3c4d+BASE64`.

        Raises:
            NoteRefused: It is none.
        """
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        content = _decoded(encoded)
        if not _NAME.fullmatch(name) or len(content) != 1 + HASH_BYTES or content[0] not in {ED25519, COSIGNATURE}:
            raise NoteRefused("this is no verifier key; it looks like NAME+8 hexadecimal digits+BASE64")
        key = cls(name, content[1:], content[0])
        if key.key_id.hex() != key_id:
            raise NoteRefused(f"the verifier key of {name} was changed: its id is {key.key_id.hex()}, not {key_id}")
        return key

    def as_witness(self) -> VerifierKey:
        """Return the same key for signatures that tell their time."""
        return VerifierKey(self.name, self.public, COSIGNATURE)

    @property
    def key_id(self) -> bytes:
        """The four bytes by which signatures name the key."""
        return sha256(self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes([self.algorithm]) + self.public).decode()}"

    def check(self, signature: bytes, content: bytes) -> None:
        """Check a bare signature.

        Raises:
            NoteRefused: It is not that of this key.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, content)
        except (InvalidSignature, ValueError) as reason:
            raise NoteRefused(f"the signature of {self.name} is wrong") from reason


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with the name it signs under. Its `repr` does not tell the key."""

    name: str
    private: Ed25519PrivateKey

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise NoteRefused(f"{self.name!r} is no name of a log: no blanks, no plus sign, 200 characters at most")

    def verifier(self, algorithm: int = ED25519) -> VerifierKey:
        """Return the public half."""
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw(), algorithm)

    def sign(self, text: str) -> str:
        """Return a text, which ends in a line break, as a signed note."""
        return f"{text}\n{self._line(ED25519, self.private.sign(text.encode()))}"

    def sign_at(self, text: str, at: int) -> str:
        """Return a text as a note that is signed twice: plainly, and as a witness does, with the time."""
        note = self.sign(text)
        return note + self.cosign(note, at)

    def cosign(self, note: str, at: int) -> str:
        """Return the line with which a witness confirms a checkpoint; `at` is in seconds since 1970."""
        content = cosigned(body_of(note), at)
        return self._line(COSIGNATURE, at.to_bytes(8, "big") + self.private.sign(content))

    def _line(self, algorithm: int, signature: bytes) -> str:
        return f"{_DASH} {self.name} {b64encode(self.verifier(algorithm).key_id + signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log said of itself: the name of the log, how many events it held, and the root of their tree."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a checkpoint; what stands after its third line is left aside.

        Raises:
            NoteRefused: It is none.
        """
        lines = text.split("\n")
        if len(lines) < 4 or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):  # noqa: PLR2004 - three and the end
            raise NoteRefused("this is no checkpoint: a name, a size and a root are its first three lines")
        root = _decoded(lines[2])
        if len(root) != HASH_BYTES:
            raise NoteRefused("the root of this checkpoint is not 32 bytes long")
        return cls(lines[0], int(lines[1]), root)


def opened(note: str, key: VerifierKey) -> str:
    """Return the text of a note that the key has signed.

    Raises:
        NoteRefused: It has not, or the note is none.
    """
    body = body_of(note)
    for name, content in _signatures(note):
        if (name, content[:4]) == (key.name, key.key_id):
            key.check(content[4:], body.encode())
            return body
    raise NoteRefused(f"{key.name} (key {key.key_id.hex()}) has not signed this note")


def witnessed(note: str, key: VerifierKey) -> int:
    """Return when a witness confirmed a checkpoint, in seconds since 1970.

    Raises:
        NoteRefused: It did not.
    """
    body = body_of(note)
    for name, content in _signatures(note):
        if (name, content[:4]) == (key.name, key.key_id):
            at = int.from_bytes(content[4:12], "big")
            key.check(content[12:], cosigned(body, at))
            if at > _LAST_SECOND:
                raise NoteRefused(f"{key.name} tells a time that no calendar has: {at} s after 1970")
            return at
    raise NoteRefused(f"the witness {key.name} has not confirmed this checkpoint")


def cosigned(text: str, at: int) -> bytes:
    """Return what a witness signs."""
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def body_of(note: str) -> str:
    """Return the text of a note, without looking at its signatures.

    Raises:
        NoteRefused: It is no note.
    """
    body, blank, _ = note.rpartition("\n\n")
    if not blank:
        raise NoteRefused("this is no signed note: no blank line stands before its signatures")
    return body + "\n"


def _signatures(note: str) -> list[tuple[str, bytes]]:
    lines = note.rpartition("\n\n")[2].removesuffix("\n").split("\n")
    found = [_SIGNATURE.fullmatch(line) for line in lines]
    return [(one[1], _decoded(one[2])) for one in found if one is not None]


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return b""
