"""Files that are still there, and whole, after the power went."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile


def write_whole(file: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a file so that after a crash it is the old one or the new one, never half of it."""
    with NamedTemporaryFile(dir=file.parent, prefix=".new-", delete=False) as out:
        try:
            out.write(text.encode())
            out.flush()
            os.fchmod(out.fileno(), mode)
            os.fsync(out.fileno())
            Path(out.name).replace(file)
        except BaseException:
            Path(out.name).unlink(missing_ok=True)
            raise
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Have the disk keep the names that were given in a folder, not only what is in the files."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
