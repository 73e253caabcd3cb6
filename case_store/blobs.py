"""Keeps bytes under their SHA-256: written once, never changed, never run.

The order on disk is what makes a crash harmless: temporary file, hash while writing, fsync, read-only, rename, fsync of
the folder. Only then does a caller write the row that speaks of it; so there may be bytes without a row, never a row
without bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from case_store import durable
from case_store.errors import StoreError

Content = bytes | Path | AsyncIterable[bytes]

MAX_BYTES: Final = 100 * 1024 * 1024
_CHUNK: Final = 1024 * 1024
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class TooLarge(StoreError):
    """There are more bytes than may be kept in one piece."""

    next_step = "split the file, or keep it elsewhere and attach a text that says where and with which SHA-256"


class NoSuchContent(StoreError):
    """No content is kept under this SHA-256."""

    next_step = "check the SHA-256 (64 characters of 0-9 and a-f) and that the evidence folder is the right one"


class ContentDamaged(StoreError):
    """What is kept under this SHA-256 is not what was put there."""

    next_step = "treat the evidence folder as tampered with or broken: keep a copy of it, then restore a backup"


@dataclass(frozen=True, slots=True)
class Stored:
    """Content that is safely on disk.

    Attributes:
        sha256: Lower-case hex.
        size: In bytes.
        path: The read-only file.
    """

    sha256: str
    size: int
    path: Path


class Blobs:
    """A folder of content, each piece under its own SHA-256."""

    def __init__(self, directory: Path, *, limit: int = MAX_BYTES) -> None:
        """Keep content in `directory`, in pieces of at most `limit` bytes; nothing is created before the first."""
        self._directory = directory
        self._limit = limit

    async def put(self, content: Content) -> Stored:
        """Keep the content and return its SHA-256; the same content a second time is kept once.

        Raises:
            TooLarge: Nothing is kept then.
        """
        writer = await asyncio.to_thread(_Writer, self._directory, self._limit)
        try:
            if isinstance(content, bytes):
                await asyncio.to_thread(writer.write, content)
            elif isinstance(content, Path):
                await asyncio.to_thread(writer.copy, content)
            else:
                async for chunk in content:
                    await asyncio.to_thread(writer.write, chunk)
            return await asyncio.to_thread(writer.keep, self.path)
        finally:
            writer.discard()

    def path(self, sha256: str) -> Path:
        """Say where content with this SHA-256 belongs, whether it is there or not."""
        if not _SHA256.fullmatch(sha256):
            raise NoSuchContent(f"{sha256[:80]!r} is not a SHA-256")
        return self._directory / sha256[:2] / sha256[2:]

    def open(self, sha256: str) -> BinaryIO:
        """Open the content for reading.

        Raises:
            NoSuchContent: Nothing is kept under this SHA-256.
        """
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError:
            raise NoSuchContent(f"nothing is kept under {sha256}") from None

    async def read(self, sha256: str) -> bytes:
        """Read the content whole, and check that it still has this SHA-256.

        Raises:
            NoSuchContent: Nothing is kept under this SHA-256.
            ContentDamaged: The bytes on disk are others.
        """
        content = await asyncio.to_thread(self._read, sha256)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ContentDamaged(f"{self.path(sha256)} does not have the SHA-256 that is its name")
        return content

    async def check(self, sha256: str) -> None:
        """Check in constant memory that the content is there and has this SHA-256.

        Raises:
            NoSuchContent: Nothing is kept under this SHA-256.
            ContentDamaged: The bytes on disk are others.
        """
        if await asyncio.to_thread(self._digest, sha256) != sha256:
            raise ContentDamaged(f"{self.path(sha256)} does not have the SHA-256 that is its name")

    def _digest(self, sha256: str) -> str:
        with self.open(sha256) as file:
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            return digest.hexdigest()

    async def forget(self, sha256: str) -> bool:
        """Delete the content that is kept under this SHA-256; False when there is none."""
        return await asyncio.to_thread(self._forget, self.path(sha256))

    @staticmethod
    def _forget(path: Path) -> bool:
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        durable.sync_folder(path.parent)
        return True

    def _read(self, sha256: str) -> bytes:
        with self.open(sha256) as file:
            return file.read()


class _Writer:
    """One piece of content on its way to its place."""

    def __init__(self, directory: Path, limit: int) -> None:
        incoming = directory / "incoming"
        incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=incoming)
        self._file = os.fdopen(descriptor, "wb")
        self._temporary = Path(name)
        self._limit = limit
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            raise TooLarge(f"the content is larger than {self._limit} bytes")
        self._hash.update(chunk)
        self._file.write(chunk)

    def copy(self, source: Path) -> None:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                self.write(chunk)

    def keep(self, place_of: Callable[[str], Path]) -> Stored:
        self._file.flush()
        os.fsync(self._file.fileno())
        os.fchmod(self._file.fileno(), 0o400)
        stored = Stored(self._hash.hexdigest(), self._size, place_of(self._hash.hexdigest()))
        if not self._is_kept(stored):
            stored.path.parent.mkdir(mode=0o700, exist_ok=True)
            self._temporary.replace(stored.path)
            durable.sync_folder(stored.path.parent)
            durable.sync_folder(stored.path.parent.parent)
        return stored

    def discard(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    @staticmethod
    def _is_kept(stored: Stored) -> bool:
        # A file of another size is what a broken disk leaves: replacing it with the right bytes repairs it.
        return stored.path.is_file() and stored.path.stat().st_size == stored.size
