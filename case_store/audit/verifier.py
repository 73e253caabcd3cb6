"""Checks a bundle of the audit log, with nothing but Python and the log's public key.

    python verify.py BUNDLE.zip --key log.vkey [--checkpoint SAVED.txt] [--witness witness.vkey]
        [--max-age 1d] [--tsa-ca authority.pem]

A bundle is a zip with `events.jsonl` (one event a line, its exact bytes), `checkpoint.txt` (what the log signed),
`manifest.json`, for the bundle of one case `proofs.jsonl` and `report.html`, and the evidence under `evidence/`. Where
the log has changed its key, `keys.txt` holds the statements with which each key names the next. `timestamp.tsr` is what
an authority says about the checkpoint in `timestamp.txt` (RFC 3161), `timestamp-proof.json` shows that the log has only
grown since; OpenSSL checks its signature, if you name the authority's certificates. Of personal values the events hold
salted digests; `disclosures.jsonl` has the values that are disclosed, in the order of the events. This file imports
nothing but the standard library; read it, it is meant to be read.

What is in a bundle besides the events is believed only where an event of the log says so. The event of the export says
what it took along, and the log must have signed within minutes of it: so a bundle that ends at an earlier export does
not pass under a checkpoint of today. It shows the case as it was then; nothing in it can say what happened later.

What it relies on: SHA-256; Merkle trees as in RFC 6962 and 9162; Ed25519 as in RFC 8032; signed notes, checkpoints and
cosignatures as in C2SP (https://c2sp.org); JSON in the canonical form of RFC 8785.

Exit codes: 0 everything holds; 2 the call or the bundle cannot be read; 10 altered; 11 missing; 12 truncated; 13 rolled
back; 14 forked; 15 unsealed (only with --sealed); 16 stale; 17 unwitnessed (only with --witness); 18 older than the
checkpoint that you saved.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

CODES = {
    "altered": 10,
    "missing": 11,
    "truncated": 12,
    "rolled back": 13,
    "forked": 14,
    "unsealed": 15,
    "stale": 16,
    "unwitnessed": 17,
    "older": 18,
}
UNREADABLE = 2
_LONGEST_LINE = 16 * 2**20
_LARGEST_FILE = 4 * 2**20
_OPENSSL_TAKES = 60
FARTHEST_APART = timedelta(minutes=10)
_CLOCKS_DIFFER = timedelta(minutes=5)
_read = json.JSONDecoder().raw_decode
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
# What Python's zip module meets in a file that somebody changed.
_DAMAGE = (KeyError, ValueError, EOFError, RuntimeError, OSError, zipfile.BadZipFile, zlib.error)


class Unreadable(Exception):
    """The call, the key or the bundle cannot be read at all."""


class Found(Exception):
    """Something does not hold; `kind` is one of the words in CODES."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


# --- Ed25519 (RFC 8032, section 5.1), verification only ---------------------------------------------------------------

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)

_Point = tuple[int, int, int, int]


def _add(a: _Point, b: _Point) -> _Point:
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    g, h = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    p, q, r, s = f - e, h - g, h + g, f + e
    return p * q % _P, r * s % _P, q * r % _P, p * s % _P


def _times(factor: int, point: _Point) -> _Point:
    result: _Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            result = _add(result, point)
        point = _add(point, point)
        factor >>= 1
    return result


def _x_of(y: int, sign: int) -> int | None:
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    if square == 0:
        return None if sign else 0
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - square) % _P:
        return None
    return _P - x if (x & 1) != sign else x


_BASE_Y = 4 * pow(5, _P - 2, _P) % _P
_BASE_X = _x_of(_BASE_Y, 0) or 0
_BASE: _Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)


def _point(content: bytes) -> _Point | None:
    y = int.from_bytes(content, "little")
    x = _x_of(y & (2**255 - 1), y >> 255)
    y &= 2**255 - 1
    return None if x is None else (x, y, 1, x * y % _P)


def signature_holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether the Ed25519 signature (64 bytes) of a message is that of the public key (32 bytes)."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, commitment = _point(public), _point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= _ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _ORDER
    left, right = _times(scalar, _BASE), _add(commitment, _times(challenge, key))
    return (left[0] * right[2] - right[0] * left[2]) % _P == 0 and (left[1] * right[2] - right[1] * left[2]) % _P == 0


# --- keys, signed notes, checkpoints (C2SP) ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """The public key of a log, or of a witness (algorithm 4)."""

    name: str
    public: bytes
    algorithm: int = 1

    @classmethod
    def parse(cls, text: str, algorithm: int = 1) -> Key:
        """Read a line like NAME+1a2b3c4d+BASE64."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        content = _decoded(encoded)
        if not name or len(content) != 33 or content[0] != algorithm:
            of = "audit-log.vkey" if algorithm == 1 else "witness.vkey"
            raise Unreadable(f"the key is no line like NAME+1a2b3c4d+BASE64, the content of {of}")
        key = cls(name, content[1:], algorithm)
        if key.id(algorithm).hex() != key_id:
            raise Unreadable("the key's line was changed: its name and key do not belong together")
        return key

    def __str__(self) -> str:
        content = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.id(self.algorithm).hex()}+{content}"

    def id(self, algorithm: int) -> bytes:
        """Return the four bytes by which signatures name this key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([algorithm]) + self.public).digest()[:4]


@dataclass(frozen=True)
class Checkpoint:
    """What the log signed: how many events it held, the root of their tree, and when."""

    size: int
    root: bytes
    at: datetime | None

    @classmethod
    def parse(cls, note: str, key: Key) -> Checkpoint:
        """Read a checkpoint that the key has signed; `at` is the time that the log says."""
        body, blank, signatures = note.rpartition("\n\n")
        body += "\n"
        lines = body.split("\n")
        if not blank or len(lines) < 4 or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
            raise Found("altered", "the checkpoint is none: a name, a size and a root are its first three lines")
        signed, at = False, None
        for name, content in _signatures(signatures):
            if name == key.name and content[:4] == key.id(1):
                signed = signature_holds(key.public, body.encode(), content[4:])
            elif name == key.name and content[:4] == key.id(4):
                seconds = int.from_bytes(content[4:12], "big")
                text = f"cosignature/v1\ntime {seconds}\n{body}".encode()
                if signature_holds(key.public, text, content[12:]):
                    at = _moment(seconds, "altered")
        if not signed:
            raise Found("altered", f"the checkpoint is not signed by {key.name} (key {key.id(1).hex()})")
        if lines[0] != key.name:
            raise Found("altered", f"the checkpoint is of another log, {lines[0]}")
        return cls(int(lines[1]), _decoded(lines[2]), at)


def confirmed_at(note: str, witness: Key) -> datetime:
    """Return when a witness confirmed a checkpoint (C2SP tlog-cosignature)."""
    body, _, signatures = note.rpartition("\n\n")
    for name, content in _signatures(signatures):
        if name == witness.name and content[:4] == witness.id(4):
            seconds = int.from_bytes(content[4:12], "big")
            text = f"cosignature/v1\ntime {seconds}\n{body}\n".encode()
            if signature_holds(witness.public, text, content[12:]):
                return _moment(seconds, "unwitnessed")
    raise Found("unwitnessed", f"{witness.name} (key {witness.id(4).hex()}) has not confirmed the checkpoint")


@dataclass
class Succession:
    """Keys of a log over time: `newest` signs now; `earlier` did before, and each was followed by the next."""

    newest: Key
    earlier: list[Key] = field(default_factory=list)
    followed: int = 0

    @classmethod
    def follow(cls, statements: str, trusted: Key) -> Succession:
        """Go from the key that one has to the newest, by statements of which each is signed by the key before.

        A statement has five lines: casewright-key-change/1, the log, the time, the old key, the new key. Both keys sign
        it. Keys before the trusted one are known by it, because each new key has signed who was before it.
        """
        changes = [_change(one) for one in _statements(statements)]
        found = cls(trusted)
        for old, new in changes:
            if old == found.newest:
                found.earlier.append(old)
                found.newest = new
                found.followed += 1
        at = trusted
        for old, new in reversed(changes):
            if new == at and old not in found.earlier:
                found.earlier.append(old)
                at = old
        return found


def _statements(text: str) -> Iterator[str]:
    parts = text.split("\n\n")
    for body, signatures in zip(parts[::2], parts[1::2], strict=False):
        yield f"{body}\n\n{signatures}\n"


def _change(note: str) -> tuple[Key, Key]:
    body, _, signatures = note.rstrip("\n").rpartition("\n\n")
    lines = body.split("\n")
    if len(lines) != 5 or lines[0] != "casewright-key-change/1":
        raise Found("altered", "keys.txt holds something else than statements about new keys")
    try:
        old, new = Key.parse(lines[3]), Key.parse(lines[4])
    except Unreadable as error:
        raise Found("altered", f"a statement in keys.txt: {error}") from None
    for key in (old, new):
        if not any(
            (name, content[:4]) == (key.name, key.id(1))
            and signature_holds(key.public, f"{body}\n".encode(), content[4:])
            for name, content in _signatures(signatures)
        ):
            raise Found("altered", f"the statement of {lines[2]} about a new key is not signed by both keys")
    if not lines[1] == old.name == new.name:
        raise Found("altered", "a statement in keys.txt names the key of another log")
    return old, new


def _moment(seconds: int, otherwise: str) -> datetime:
    """Return the time that a signature tells; what no calendar has is found as something else."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise Found(otherwise, f"a signature tells a time that no calendar has: {seconds} s after 1970") from None


def _signatures(text: str) -> Iterator[tuple[str, bytes]]:
    for line in text.split("\n"):
        found = re.fullmatch("\N{EM DASH} (\\S+) (\\S+)", line)
        if found:
            yield found[1], _decoded(found[2])


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


# --- the tree (RFC 6962) ----------------------------------------------------------------------------------------------


def _leaf(content: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + content).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows leaf by leaf; keeps the roots of its complete subtrees only."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Put a leaf at the end."""
        self._peaks.append(leaf)
        self.size += 1
        rest = self.size
        while not rest & 1:
            right = self._peaks.pop()
            self._peaks[-1] = _node(self._peaks[-1], right)
            rest >>= 1

    def root(self) -> bytes:
        """Return the root."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = _node(peak, root)
        return root


def root_by_proof(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes | None:
    """Return the root that a proof of inclusion leads to (RFC 9162, 2.1.3.2); None when it fits no such place."""
    if not 0 <= index < size:
        return None
    last = size - 1
    for sibling in proof:
        if last == 0:
            return None
        if index & 1 or index == last:
            leaf = _node(sibling, leaf)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            leaf = _node(leaf, sibling)
        index, last = index >> 1, last >> 1
    return None if last else leaf


def roots_by_proof(old: int, new: int, proof: list[bytes], old_root: bytes) -> tuple[bytes, bytes] | None:
    """Return the roots of both trees that a proof of consistency leads to (RFC 9162, 2.1.4.2); None if it fits not."""
    if old == new:
        return None if proof else (old_root, old_root)
    path = [old_root, *proof] if old & (old - 1) == 0 else proof
    if not 0 < old < new or not path:
        return None
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if node & 1 or node == last:
            first, second = _node(sibling, first), _node(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = _node(second, sibling)
        node, last = node >> 1, last >> 1
    return None if last else (first, second)


# --- time stamps (RFC 3161, in the DER form of ASN.1) -----------------------------------------------------------------

_SEQUENCE, _OCTETS, _TIME, _EXPLICIT = 0x30, 0x04, 0x18, 0xA0
_SHA256 = bytes.fromhex("0609608648016503040201")


def _parts(content: bytes) -> list[tuple[int, bytes]]:
    """Return the elements that follow each other in DER: the tag and the content of each."""
    found, at = [], 0
    while at < len(content):
        tag, length, at = content[at], content[at + 1], at + 2
        if length & 0x80:
            many = length & 0x7F
            length, at = int.from_bytes(content[at : at + many], "big"), at + many
        if not length <= len(content) - at:
            raise ValueError("it is cut off")
        found.append((tag, content[at : at + length]))
        at += length
    return found


def _part(content: bytes, *way: tuple[int, int]) -> bytes:
    """Return what is found by going in, step by step: to the element at this position, which has this tag."""
    for position, tag in way:
        found, content = _parts(content)[position]
        if found != tag:
            raise ValueError(f"an element has the tag {found} instead of {tag}")
    return content


def stamp(answer: bytes) -> tuple[bytes, datetime]:
    """Return the SHA-256 that an authority has stamped, and the time that it says."""
    signed = _part(answer, (0, _SEQUENCE), (1, _SEQUENCE), (1, _EXPLICIT), (0, _SEQUENCE))
    info = _part(signed, (2, _SEQUENCE), (1, _EXPLICIT), (0, _OCTETS), (0, _SEQUENCE))
    if not _part(info, (2, _SEQUENCE), (0, _SEQUENCE)).startswith(_SHA256):
        raise ValueError("the stamp is over another hash than SHA-256")
    told = _part(info, (4, _TIME)).decode("ascii")
    at = datetime.strptime(told[:14] + "+0000", "%Y%m%d%H%M%S%z")
    return _part(info, (2, _SEQUENCE), (1, _OCTETS)), at


def stamp_is_signed(answer: bytes, content: bytes, certificates: Path) -> bool:
    """Have OpenSSL check the signature of a time stamp."""
    with tempfile.TemporaryDirectory() as folder:
        there, what = Path(folder, "timestamp.tsr"), Path(folder, "timestamp.txt")
        there.write_bytes(answer)
        what.write_bytes(content)
        return _openssl("ts", "-verify", "-in", str(there), "-data", str(what), "-CAfile", str(certificates))


def require_certificates(file: Path) -> None:
    """Refuse a file without certificates that OpenSSL can read: that is not the fault of any stamp."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Unreadable(f"--tsa-ca: {error}") from None
    if b"CERTIFICATE-----" not in content or not _openssl("crl2pkcs7", "-nocrl", "-certfile", str(file)):
        raise Unreadable(f"--tsa-ca: {file} holds no certificates in PEM form")


def _openssl(*words: str) -> bool:
    try:
        done = subprocess.run(["openssl", *words], capture_output=True, check=False, timeout=_OPENSSL_TAKES)  # noqa: S603, S607
    except OSError as error:
        raise Unreadable(f"--tsa-ca needs the program openssl, and it cannot be started: {error}") from None
    except subprocess.TimeoutExpired:
        raise Unreadable(f"--tsa-ca: openssl has not answered within {_OPENSSL_TAKES} s") from None
    return done.returncode == 0


# --- the bundle -------------------------------------------------------------------------------------------------------


@dataclass
class Bundle:
    """What the zip holds. Events are read as a stream: a bundle may be greater than the memory."""

    zip: zipfile.ZipFile
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Open a bundle."""
        try:
            archive = zipfile.ZipFile(path)
            manifest = json.loads(_small(archive, "manifest.json"))
        except (*_DAMAGE, RecursionError) as error:
            raise Unreadable(f"{path} is no bundle: {error}") from None
        if not isinstance(manifest, dict) or manifest.get("format") != "casewright-bundle/1":
            raise Unreadable(f"{path} is no bundle of format casewright-bundle/1; use the verifier that came with it")
        return cls(archive, manifest)

    def content(self, name: str) -> bytes:
        """Return a small file."""
        if name not in self.zip.namelist():
            raise Found("missing", f"{name} is not in the bundle")
        try:
            return _small(self.zip, name)
        except _DAMAGE as error:
            raise Found("altered", f"{name} is damaged ({error})") from None

    def text(self, name: str) -> str:
        """Return a small file of text."""
        try:
            return self.content(name).decode()
        except UnicodeDecodeError as error:
            raise Found("altered", f"{name} is damaged ({error})") from None

    def lines(self, name: str) -> Iterator[bytes]:
        """Return the lines of a file, without their ends."""
        try:
            with io.BufferedReader(self.zip.open(name), 2**18) as file:  # type: ignore[type-var] # reads well enough
                yield from _lines(file, name)
        except _DAMAGE as error:
            raise Found("altered", f"{name} is not in the bundle, or is damaged ({error})") from None

    def size(self, name: str) -> int:
        """Return how large the zip says a file is; 0 if it is not there."""
        return self.zip.getinfo(name).file_size if name in self.zip.namelist() else 0

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file."""
        digest = hashlib.sha256()
        try:
            with self.zip.open(name) as file:
                while piece := file.read(2**20):
                    digest.update(piece)
        except _DAMAGE as error:
            raise Found("altered", f"{name} is damaged ({error})") from None
        return digest.hexdigest()


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a file that is small in every bundle that the log has made."""
    with archive.open(name) as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise ValueError(f"{name} is larger than {_LARGEST_FILE} bytes")
    return content


def _lines(file: IO[bytes], name: str) -> Iterator[bytes]:
    while line := file.readline(_LONGEST_LINE):
        if not line.endswith(b"\n"):
            raise Found("truncated", f"{name} ends in the middle of a line")
        yield line[:-1]


class Form(NamedTuple):
    """What the checks need of an event; the whole body only of the few kinds that tell them more."""

    leaf: bytes
    stream: str
    version: object
    seq: object
    prev: object
    type: str
    event_id: object
    body: dict[str, Any] | None


_TELLING = {"audit.exported", "evidence.attached", "evidence.linked", "privacy.erased"}
_MANY_LINES, _MANY_BYTES = 500, 2**20
_WORTH_HELP = 32 * 2**20


def form_of(line: bytes) -> Form | str:
    """Return what the checks need of an event, or what is wrong with its form."""
    try:
        text = line.decode()
        body, _ = _read(text)  # what may stand after it is not canonical
        again = _canonical(body)
        kind, get = body["type"], body.get
        telling = body if kind in _TELLING else None
        form = Form(
            _leaf(line), body["stream"], body["schema_v"], get("seq"), get("prev"), kind, get("event_id"), telling
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "is no event"
    return form if again == text else "is not in its canonical form"


def forms(lines: Iterator[bytes], helpers: int) -> Iterator[Form | str]:
    """Return the form of each line, in their order; so many processes help, with a few blocks of lines at a time."""
    if helpers < 2:
        yield from map(form_of, lines)
        return
    try:
        with ProcessPoolExecutor(helpers, initializer=_leave_interrupts) as pool:
            waiting = deque[Future[list[Form | str]] | Found]()
            for block in _blocks(lines):
                waiting.append(block if isinstance(block, Found) else pool.submit(_forms_of, block))
                if len(waiting) > 2 * helpers:
                    yield from _result(waiting.popleft())
            while waiting:
                yield from _result(waiting.popleft())
    except (BrokenProcessPool, ImportError, OSError) as error:
        raise Unreadable(f"the processes that help have failed ({error}); try again with --processes 1") from None


def _cores() -> int:
    return min(os.cpu_count() or 1, 8)


def _leave_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that is helped ends


def _blocks(lines: Iterator[bytes]) -> Iterator[list[bytes] | Found]:
    """Return lines in blocks; what is found in between comes after the lines before it."""
    block, size = list[bytes](), 0
    try:
        for line in lines:
            block.append(line)
            size += len(line)
            if len(block) == _MANY_LINES or size > _MANY_BYTES:
                yield block
                block, size = [], 0
    except Found as found:
        yield block
        yield found
    else:
        yield block


def _forms_of(block: list[bytes]) -> list[Form | str]:
    return list(map(form_of, block))


def _result(of: Future[list[Form | str]] | Found) -> list[Form | str]:
    if isinstance(of, Found):
        raise of
    return of.result()


def evidence_in(body: dict[str, Any]) -> str | None:
    """Return the SHA-256 of the evidence that an event brings into its stream, in hexadecimal."""
    if body["type"] == "evidence.attached":
        return str(body["changes"]["sha256"][1])
    return body["facts"].get("sha256") if body["type"] == "evidence.linked" else None


# --- personal values: commitments and disclosures, as in SD-JWT (RFC 9901, section 4.2) -------------------------------


def _commitments(body: dict[str, Any]) -> dict[str, str]:
    """Return the digests that an event commits to, by the JSON pointer (RFC 6901) of their places."""
    places = {_pointer("facts", name): fact for name, fact in body["facts"].items()}
    for name, change in body["changes"].items():
        places |= {_pointer("changes", name, at): side for at, side in enumerate(change)}
    return {place: one["_sd"] for place, one in places.items() if isinstance(one, dict) and list(one) == ["_sd"]}


def _pointer(*steps: object) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def _digest(disclosure: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(disclosure.encode()).digest()).rstrip(b"=").decode()


def _place_of(disclosure: str) -> str:
    """Return the JSON pointer in a disclosure: it holds a salt, the pointer, and the value."""
    salt, pointer, _ = json.loads(base64.urlsafe_b64decode(disclosure + "=" * (-len(disclosure) % 4)))
    if not isinstance(salt, str) or not isinstance(pointer, str):
        raise TypeError(disclosure)
    return pointer


def _disclosure(line: bytes | None) -> tuple[str, str]:
    """Return the event that a line names, and its disclosure; two empty texts at the end."""
    if line is None:
        return "", ""
    given = json.loads(line)
    if not given["disclosure"] or not isinstance(given["disclosure"], str):
        raise ValueError(line)
    return given["event_id"], given["disclosure"]


# --- the checks -------------------------------------------------------------------------------------------------------


@dataclass
class Check:
    """One run of the verifier."""

    bundle: Bundle
    key: Key
    saved: str | None
    max_age: timedelta | None
    now: datetime
    say: Callable[[str], None]
    must_be_sealed: bool = False
    processes: int | None = None
    authority: Path | None = None
    witnesses: list[Key] = field(default_factory=list)
    earlier: list[Key] = field(default_factory=list)
    tree: Tree = field(default_factory=Tree)
    heads: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    last: object = None
    evidence: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    checkpoint: Checkpoint = Checkpoint(0, b"", None)
    pinned: Checkpoint | None = None
    pinned_root: bytes | None = None
    tells_of_export: dict[str, Any] | None = None
    export_is: int = 0
    numbered: bool = False
    number: int = 0
    count: int = 0
    unsealed: int = 0

    def run(self) -> None:
        """Take all steps; the first that does not hold raises `Found`."""
        if "keys.txt" in self.bundle.zip.namelist():
            self._step("the log has changed its key, and the old one has named the new one", self._followed)
        self.checkpoint = self._step("the checkpoint is signed by the log", self._signed)
        for witness in self.witnesses:
            self._step(f"the witness {witness.name} has confirmed it", partial(self._witnessed, witness))
        if self.saved is not None:
            self.pinned = self._step("the saved checkpoint is signed by the log", self._saved)
        whole = self.bundle.manifest.get("scope") == "all"
        self._step("every event is as it was written, and its stream has no gap", self._whole if whole else self._case)
        self._step("the bundle is complete: it holds the event of its own export", self._complete)
        if self.pinned:
            self._step("what was saved before is the beginning of this", self._continues)
        if self.authority or "timestamp.tsr" in self.bundle.zip.namelist():
            self._step("an authority has stamped what is the beginning of this", self._stamped)
        if self._took("personal") or "disclosures.jsonl" in self.bundle.zip.namelist():
            self._step("what is disclosed of personal values is what the events commit to", self._disclosures)
        self._step("the evidence is what the events say", self._evidence)
        self._step("the report is the one that was exported", self._report)
        self._step("the newest events are sealed", self._sealed)
        if self.max_age is not None:
            self._step(f"the log was alive within {_span(self.max_age)}", self._alive)

    def _step(self, name: str, check: Callable[[], Any]) -> Any:
        self.number += 1
        try:
            result = self._result_of(check)
        except Found as found:
            self.say(f"{self.number:2}  FAIL  {name}: {found.kind}; {found}")
            raise
        self.say(f"{self.number:2}  ok    {name}{f' ({result})' if isinstance(result, str) else ''}")
        return result

    def _result_of(self, check: Callable[[], Any]) -> Any:
        try:
            return check()
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise Found(
                "altered", f"something in it is not of the form it should have ({type(error).__name__})"
            ) from None

    def _followed(self) -> str:
        found = Succession.follow(self.bundle.text("keys.txt"), self.key)
        self.key, self.earlier = found.newest, found.earlier
        if not found.followed:
            return "your key is the newest"
        return f"your key is older; the newest, {found.followed} later, is {found.newest}"

    def _signed(self) -> Checkpoint:
        return Checkpoint.parse(self.bundle.text("checkpoint.txt"), self.key)

    def _witnessed(self, witness: Key) -> str:
        return f"{confirmed_at(self.bundle.text('checkpoint.txt'), witness):%Y-%m-%d %H:%M:%S} UTC"

    def _saved(self) -> Checkpoint:
        try:
            return self._parsed(self.saved or "")
        except (Found, ValueError) as error:
            raise Unreadable(f"the checkpoint that you saved says nothing: {error}") from None

    def _parsed(self, note: str) -> Checkpoint:
        """Read a checkpoint that may be of the time of an earlier key."""
        for key in self.earlier:
            with suppress(Found):
                return Checkpoint.parse(note, key)
        return Checkpoint.parse(note, self.key)

    def _whole(self) -> str:
        """All events, in the order of the tree: the root is computed anew."""
        at_size = {0: self.tree.root()}
        wanted = {one.size for one in (self.checkpoint, self.pinned) if one}
        for form in self._forms():
            self.tree.add(self._event(form))
            if self.tree.size in wanted:
                at_size[self.tree.size] = self.tree.root()
        if self.checkpoint.size > self.tree.size:
            raise Found("truncated", f"the log signed {self.checkpoint.size} events, here are {self.tree.size}")
        if at_size[self.checkpoint.size] != self.checkpoint.root:
            raise Found("altered", f"the {self.checkpoint.size} events have another root than the log signed")
        self.unsealed = self.tree.size - self.checkpoint.size
        self.pinned_root = at_size.get(self.pinned.size) if self.pinned else None
        return f"{self.count} events in {len(self.heads)} streams"

    def _case(self) -> str:
        """The events of one stream, each with the proof that it is in the tree."""
        proofs = self.bundle.lines("proofs.jsonl")
        for form in self._forms():
            leaf, proof = self._event(form), self._proof(next(proofs, b""))
            if proof is None:
                self.unsealed += 1
                continue
            if self.unsealed:
                raise Found("altered", f"event {self.count} is sealed, and one before it is not")
            if root_by_proof(leaf, proof[0], self.checkpoint.size, proof[1]) != self.checkpoint.root:
                raise Found("altered", f"event {self.count} is not in the tree that the log signed")
        if next(proofs, None) is not None:
            raise Found("missing", "there are more proofs than events")
        streams = sorted(self.heads)
        if streams != [self.bundle.manifest.get("stream")]:
            raise Found("altered", f"these are events of {streams or 'nothing'}, not of the case in the manifest")
        return f"{self.count} events of {streams[0]}"

    def _proof(self, line: bytes) -> tuple[int, list[bytes]] | None:
        try:
            proof = json.loads(line)
            if proof is None:
                return None
            return int(proof["index"]), [bytes.fromhex(one) for one in proof["path"]]
        except (ValueError, KeyError, TypeError):
            raise Found("altered", f"the proof of event {self.count} cannot be read") from None

    def _forms(self) -> Iterator[Form | str]:
        much = self.bundle.size("events.jsonl") > _WORTH_HELP
        return forms(self.bundle.lines("events.jsonl"), self.processes or (_cores() if much else 1))

    def _event(self, form: Form | str) -> bytes:
        """Check one event's form and place in its stream; return its leaf hash."""
        self.count += 1
        if isinstance(form, str):
            raise Found("altered", f"event {self.count} {form}")
        seq, head = self.heads.get(form.stream, (0, None))
        if form.version != 1:
            self._require_place(form, seq, head)
            self.numbered = True
        elif self.numbered:
            raise Found("altered", f"event {self.count} has no number, and one before it has: it was put in by hand")
        self.heads[form.stream] = (seq + 1, form.leaf.hex())
        self.last = form.event_id
        if form.body:
            self._learn(form.body)
        return form.leaf

    def _learn(self, body: dict[str, Any]) -> None:
        if body["type"] == "audit.exported" and body.get("event_id") == self.bundle.manifest.get("export"):
            self.tells_of_export, self.export_is = body, self.count
        if (digest := evidence_in(body)) is not None:
            self.evidence.add(digest)
        if body["type"] == "privacy.erased" and body["facts"].get("sha256"):
            self.erased.add(body["facts"]["sha256"])

    def _require_place(self, form: Form, seq: int, head: str | None) -> None:
        if type(form.seq) is int and form.seq == seq + 1 and form.prev == head:
            return
        name = f"event {self.count} ({form.type} in {form.stream})"
        if not isinstance(form.seq, int) or form.seq <= seq:
            raise Found("altered", f"{name} has the number {form.seq} after {seq}")
        if form.seq > seq + 1:
            raise Found("missing", f"{name} has the number {form.seq}, and {form.seq - seq - 1} before it are missing")
        raise Found("altered", f"{name} does not follow the event before it: that one was changed")

    def _complete(self) -> str:
        """The event of this export tells of a bundle like this, and the log has signed soon after it."""
        told, manifest = self.tells_of_export, self.bundle.manifest
        if told is None:
            raise Found("truncated", "the event that tells of this export is not in it")
        facts, claimed = told["facts"], (manifest.get("scope"), manifest.get("case"))
        if facts.get("format") != "bundle" or (facts.get("scope"), facts.get("case")) != claimed:
            raise Found("truncated", "it names the event of another export as its own: that of this one is cut off")
        if manifest.get("scope") != "all" and told["event_id"] != self.last:
            raise Found("altered", "events stand after the one that tells of this export")
        if self.export_is > self.count - self.unsealed:
            raise Found("truncated", "the event of this export is not in the tree that the log signed")
        at = self.checkpoint.at
        if at is None:
            raise Found("altered", "the checkpoint does not tell when it was signed: a line of it is gone")
        if abs(at - self._exported_at()) > FARTHEST_APART:
            raise Found(
                "truncated",
                f"it was exported {told['ts']}, and its checkpoint is of {_short(at)}: what came in between may be cut"
                " off, or a clock was wrong; have a new one made",
            )
        took = ", ".join(f"with{'' if self._took(one) else 'out'} {name}" for one, name in _TAKEN.items())
        return f"exported {self._when_and_who(', ')}; {took}"

    def _took(self, what: str) -> bool:
        """Say whether an export took something along: by its event, or by the manifest if that event is of before."""
        facts = self.tells_of_export["facts"] if self.tells_of_export else {}
        return bool(facts[what] if what in facts else self.bundle.manifest.get(f"with_{what}"))

    def _exported_at(self) -> datetime:
        return datetime.fromisoformat(str((self.tells_of_export or {})["ts"]))

    def _when_and_who(self, between: str) -> str:
        told = self.tells_of_export or {}
        return f"{told['ts']}{between}by {told['actor']['kind']} {told['actor']['id']}"

    def shown(self) -> str:
        """Say what the bundle shows, as of when."""
        manifest = self.bundle.manifest
        what = "the whole record" if manifest.get("scope") == "all" else f"CASE-{manifest.get('case')}"
        return f"It shows {what} as of {self._when_and_who(', exported ')}."

    def _continues(self) -> str | None:
        pinned, size = self.pinned, self.checkpoint.size
        if pinned is None:
            return None
        if pinned.size > size:
            then, now = pinned.at, self.checkpoint.at
            if then and now and then >= now:
                raise Found(
                    "older",
                    f"the bundle is older than the checkpoint that you saved ({_short(then)}); have a new one made",
                )
            raise Found("rolled back", f"the log held {pinned.size} events before, and {size} now")
        if self.bundle.manifest.get("scope") == "all":
            if self.pinned_root != pinned.root:
                raise Found("forked", f"the first {pinned.size} events are not those that were there before")
            return f"{pinned.size} events"
        if pinned.size == size and pinned.root != self.checkpoint.root:
            raise Found("forked", f"the log signed two different trees of {size} events")
        return None if pinned.size == size else "only its size; a whole export can be compared with it"

    def _stamped(self) -> str:
        """The time stamp is over a checkpoint that the log signed, and the tree has only grown since then."""
        note, answer = self.bundle.text("timestamp.txt"), self.bundle.content("timestamp.tsr")
        digest, at = stamp(answer)
        if digest != hashlib.sha256(note.encode()).digest():
            raise Found("altered", "the time stamp is over something else than timestamp.txt")
        before = self._parsed(note)
        path = [bytes.fromhex(one) for one in json.loads(self.bundle.text("timestamp-proof.json"))]
        roots = roots_by_proof(before.size, self.checkpoint.size, path, before.root)
        grew = (before.root, path) == (Tree().root(), []) if before.size == 0 else False
        if not grew and roots != (before.root, self.checkpoint.root):
            raise Found("forked", f"the {before.size} events that were stamped are not the beginning of this")
        if self.authority and not stamp_is_signed(answer, note.encode(), self.authority):
            raise Found("altered", "the time stamp is not signed by the authority whose certificates you gave")
        checked = "" if self.authority else "; give --tsa-ca to check its signature"
        return f"{before.size} events, {at:%Y-%m-%d %H:%M:%S} UTC{checked}"

    def _disclosures(self) -> str:
        """Each disclosure fits a commitment of the event it names; they come in the order of the events.

        The event of the export says how many there are of the events before it.
        """
        if not self._took("personal"):
            raise Found("altered", "there are disclosures, and the event of this export says that it took none")
        own = (self.tells_of_export or {})["event_id"]
        mark = own.encode()
        given = iter(self.bundle.lines("disclosures.jsonl")) if self._has("disclosures.jsonl") else iter(())
        event_id, disclosure = _disclosure(next(given, None))
        shown = withheld = 0
        before: int | None = None
        for line in self.bundle.lines("events.jsonl"):
            if b'{"_sd":' not in line:
                if before is None and mark in line and json.loads(line)["event_id"] == own:
                    before = shown
                continue
            body = json.loads(line)
            committed = _commitments(body)
            while disclosure and event_id == body["event_id"]:
                pointer = _place_of(disclosure)
                if committed.pop(pointer, None) != _digest(disclosure):
                    raise Found("altered", f"a disclosure of event {event_id} fits no commitment of it at {pointer}")
                shown += 1
                event_id, disclosure = _disclosure(next(given, None))
            withheld += len(committed)
        if disclosure:
            raise Found("altered", f"a disclosure names event {event_id}, which commits to nothing more here")
        self._require_disclosed(before or 0)
        return f"{shown} are shown, {withheld} are withheld or erased"

    def _has(self, name: str) -> bool:
        return name in self.bundle.zip.namelist()

    def _require_disclosed(self, found: int) -> None:
        wanted = (self.tells_of_export or {})["facts"].get("disclosures")
        if wanted is None and not self._has("disclosures.jsonl"):
            raise Found("missing", "disclosures.jsonl is not in the bundle")
        if wanted is not None and found != wanted:
            kind = "missing" if found < wanted else "altered"
            raise Found(kind, f"{wanted} personal values were exported, and {found} are here")

    def _evidence(self) -> str:
        names = [one for one in self.bundle.zip.namelist() if one.startswith("evidence/")]
        if names and not self._took("evidence"):
            raise Found("altered", "there is evidence, and the event of this export says that it took none")
        for name in names:
            digest = name.removeprefix("evidence/")
            if digest not in self.evidence:
                raise Found("altered", f"{name} is named by no event")
            if self.bundle.digest(name) != digest:
                raise Found("altered", f"{name} has another content than its event says")
        lost = self.evidence - self.erased - {one[9:] for one in names}
        if lost and self._took("evidence"):
            raise Found("missing", f"evidence {min(lost)} is not in the bundle")
        return f"{len(names)} of {len(self.evidence)} files are in the bundle"

    def _report(self) -> str | None:
        """The page to read is as the event of the export says; without one there is nothing to check."""
        wanted = self.tells_of_export["facts"].get("report") if self.tells_of_export else None
        there = "report.html" in self.bundle.zip.namelist()
        if wanted and not there:
            raise Found("missing", "report.html is not in the bundle")
        if there and self.bundle.digest("report.html") != wanted:
            raise Found("altered", "report.html is not the one that the event of this export names")
        return None if there else "there is none"

    def _sealed(self) -> str | None:
        if self.unsealed and self.must_be_sealed:
            raise Found("unsealed", f"{self.unsealed} events are not in the signed tree yet")
        return f"{self.unsealed} are not yet; nothing proves those" if self.unsealed else None

    def _alive(self) -> str:
        """Both the checkpoint and the export are young, and neither is from the future."""
        limit, signed = self.max_age or timedelta(), self.checkpoint.at
        if signed is None:
            raise Found("stale", "the checkpoint does not tell when it was signed")
        for what, at in (("newest checkpoint", signed), ("export", self._exported_at())):
            if at - self.now > _CLOCKS_DIFFER:
                raise Found("stale", f"the {what} is of {_short(at)}, which is in the future: a clock is wrong")
            if self.now - at > limit:
                raise Found("stale", f"the {what} is of {_short(at)}")
        return _short(signed)


_TAKEN = {"evidence": "evidence", "personal": "personal values"}
"""What an export may take along, by the name of the fact that says so."""


def _short(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _span(time: timedelta) -> str:
    """Return a time as people say it: `1 day`, `36 hours`."""
    seconds = int(time.total_seconds())
    of, name = next((of, name) for of, name in _UNITS if seconds % of == 0)
    return f"{seconds // of} {name}{'' if seconds == of else 's'}"


_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def _to_stdout(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _visible(text: str) -> str:
    """Return a text in which nothing moves the cursor: a bundle may have been made to be shown to somebody."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def verify(
    path: Path,
    key_text: str,
    *,
    saved: str | None = None,
    max_age: timedelta | None = None,
    must_be_sealed: bool = False,
    witnesses: list[str] | None = None,
    processes: int | None = None,
    authority: Path | None = None,
    now: datetime | None = None,
    say: Callable[[str], None] = _to_stdout,
) -> int:
    """Verify a bundle; prints each step and returns the exit code."""

    def tell(line: str) -> None:
        say(_visible(line))

    try:
        if authority:
            require_certificates(authority)
        check = Check(
            Bundle.open(path),
            Key.parse(key_text),
            saved,
            max_age,
            now or datetime.now(UTC),
            tell,
            must_be_sealed,
            processes,
            authority,
            [Key.parse(one, algorithm=4) for one in witnesses or []],
        )
        check.run()
    except Unreadable as error:
        tell(f"cannot be verified: {error}")
        return UNREADABLE
    except Found as found:
        tell(f"{found.kind.upper()}: {found}")
        return CODES[found.kind]
    tell(f"Everything holds: {check.count} events, signed by {check.key.name}. {check.shown()}")
    return 0


def age(text: str) -> timedelta:
    """Read how old something may be."""
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no time: write it like 30s, 10m, 6h or 1d")
    return timedelta(seconds=int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]])


def _processes(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no number of processes: give 1 or more")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Check a bundle of a Casewright audit log.")
    parser.add_argument("bundle", type=Path, help="the zip")
    parser.add_argument(
        "--key", type=Path, required=True, help="the log's public key, one line, from a source you trust"
    )
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint that you saved before")
    parser.add_argument(
        "--witness", type=Path, action="append", default=[], help="public key of a witness that must have confirmed it"
    )
    parser.add_argument("--max-age", type=age, help="how old the export and its checkpoint may be: 30s, 10m, 6h, 1d")
    parser.add_argument(
        "--sealed", action="store_true", help="refuse a bundle with events that are not in the tree yet"
    )
    parser.add_argument(
        "--processes",
        type=_processes,
        metavar="N",
        help="how many read events; without it one, and of a great log all cores",
    )
    parser.add_argument(
        "--tsa-ca",
        type=Path,
        metavar="PEM",
        help="certificates of the authority that must have stamped it; uses openssl",
    )
    given = parser.parse_args(arguments)
    try:
        key = given.key.read_text(encoding="ascii")
        saved = given.checkpoint.read_text(encoding="utf-8") if given.checkpoint else None
        witnesses = [one.read_text(encoding="ascii") for one in given.witness]
    except (OSError, UnicodeDecodeError) as error:
        _to_stdout(f"cannot be verified: {error}")
        return UNREADABLE
    return verify(
        given.bundle,
        key,
        saved=saved,
        max_age=given.max_age,
        must_be_sealed=given.sealed,
        witnesses=witnesses,
        processes=given.processes,
        authority=given.tsa_ca,
    )


if __name__ == "__main__":
    sys.exit(main())
