"""The folder that one `up` lives in: held by one at a time, with a port that is free."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console.errors import HomeBusy, PortTaken

HOST = "127.0.0.1"


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold the home (made if there is none) for this process; the lock dies with it, whatever it dies of.

    Raises:
        HomeBusy: Another `up` runs on it.
    """
    path = private(home) / "up.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise HomeBusy(f"another `casewright up` (process {other}) runs on {home}") from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, b"%d\n" % os.getpid(), 0)
        try:
            yield
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def free_port(port: int) -> int:
    """Return the port if nobody listens on it; for 0, some free one.

    Raises:
        PortTaken: Somebody listens on it, or it may not be used.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise PortTaken(f"port {port} needs more rights than you have") from None
            raise PortTaken(f"port {port} on {HOST} is taken") from None
        except OverflowError:
            raise PortTaken(f"{port} is not a port", next_step="Choose one from 1024 to 65535, or 0.") from None
        found: int = probe.getsockname()[1]
    return found


def private(folder: Path) -> Path:
    """Make the folder, if there is none, so that only this user may look into it; return it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
