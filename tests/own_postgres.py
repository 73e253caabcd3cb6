"""A PostgreSQL server of a test's own, which it may kill."""

import asyncio
import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil


class ProgramsMissing(Exception):
    """The programs of a PostgreSQL server are not installed."""


def _programs() -> Path:
    """Return the folder of `initdb` and `postgres`; Debian keeps it off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise ProgramsMissing("No PostgreSQL server programs: initdb is neither on the path nor in /usr/lib/postgresql")


class OwnServer:
    """A server in a folder, with user and trust for everybody on loopback."""

    def __init__(self, folder: Path) -> None:
        self._programs, self._folder, self.port = _programs(), folder, _free_port()
        self._user = "postgres" if os.geteuid() == 0 else None  # the server does not run as root
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        command = [
            self._programs / "initdb",
            "-D",
            folder / "data",
            "-U",
            "test",
            "--auth=trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(command, user=self._user, check=True, capture_output=True, cwd="/")

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://test@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        """Start it, and wait until it has recovered and answers."""
        self._process = self._started()
        while True:
            try:
                await (await asyncpg.connect(self.url())).close()
            except (OSError, asyncpg.PostgresError):
                if self._process.poll() is not None:
                    raise AssertionError((self._folder / "log").read_text()[-3000:]) from None
                await asyncio.sleep(0.05)
            else:
                return

    def _started(self) -> subprocess.Popen[bytes]:
        options = ["-p", str(self.port), "-k", str(self._folder), "-h", "127.0.0.1"]
        command = [self._programs / "postgres", "-D", self._folder / "data", *options]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(command, user=self._user, stdout=log, stderr=log, cwd="/")

    def kill(self) -> None:
        """Kill the postmaster and all its children, and wait until they are gone."""
        if self._process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            family = [psutil.Process(self._process.pid)]
            family += family[0].children(recursive=True)
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            psutil.wait_procs(family, timeout=30)
        self._process.wait(timeout=30)
        self._process = None


@contextlib.contextmanager
def own_server() -> Iterator[OwnServer]:
    """Yield a server that is not started yet; kill it and take its folder away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="casewright-postgres-"))
    server: OwnServer | None = None
    try:
        server = OwnServer(folder)
        yield server
    finally:
        if server is not None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
