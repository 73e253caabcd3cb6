"""A file as a sink: lines are appended and on the disk before the cursor moves.

The file is opened for each delivery, so one that was moved away (by logrotate: `create`, not `copytruncate`) is begun
anew. A delivery that failed halfway is taken back; where that was not possible (a kill, a power cut), the torn line
stands alone, and all of its batch comes again after it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from case_store import durable
from case_store.sinks.contract import Line, SinkDown

_OPEN: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_MODE: Final = 0o640


class FileSink:
    """Appends to one file."""

    def __init__(self, path: str, head: str = "") -> None:
        """Append to the file at `path`; one that is empty begins with `head`, a line without its end."""
        self._path, self._head = path, head

    def deliver(self, lines: Sequence[Line]) -> None:
        """Append the lines and have the disk keep them."""
        content = b"".join(line.text.encode() + b"\n" for line in lines)
        try:
            with _opened(self._path) as file:
                _append(file, content, self._head.encode())
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.EWOULDBLOCK}:
                raise SinkDown(f"{self._path}: another process holds the file") from error
            raise SinkDown(f"{self._path}: {error.strerror}") from error


@contextmanager
def _opened(path: str) -> Iterator[int]:
    existed = os.path.exists(path)  # noqa: PTH110 - a path may be of another kind than files
    file = os.open(path, _OPEN, _MODE)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file
        if not existed:
            durable.sync_folder(Path(path).parent)
    finally:
        os.close(file)


def _append(file: int, content: bytes, head: bytes) -> None:
    found = os.fstat(file)
    regular = stat.S_ISREG(found.st_mode)
    if regular and not found.st_size and head:
        content = head + b"\n" + content
    if regular and found.st_size and os.pread(file, 1, found.st_size - 1) != b"\n":
        content = b"\n" + content
    try:
        _write_all(file, content)
        if regular:
            os.fsync(file)
    except OSError:
        if regular:
            with suppress(OSError):
                os.ftruncate(file, found.st_size)
        raise


def _write_all(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
