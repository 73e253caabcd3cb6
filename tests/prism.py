"""Prism, a mock server that checks each request against an OpenAPI document; fetched once into `.venv` by npm."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tests.ports import free_port

VERSION = "5.14.2"
PRISM = "CASEWRIGHT_TEST_PRISM"
HOW_TO_GET_IT = (
    f"install npm (Debian: apt-get install npm), which fetches Prism, or name a Prism {VERSION}: {PRISM}=/path/to/prism"
)


class PrismMissing(Exception):
    """Prism is not here and cannot be fetched."""


def program() -> Path:
    """Return Prism, fetched by npm if it is not here yet.

    Raises:
        PrismMissing: There is no npm, or it could not fetch it.
    """
    if named := os.environ.get(PRISM):
        return Path(named)
    folder = Path(sys.prefix) / f"prism-{VERSION}"
    found = folder / "node_modules" / ".bin" / "prism"
    if found.exists():
        return found
    if (npm := shutil.which("npm")) is None:
        raise PrismMissing("No Prism, and no npm to fetch it")
    # Apart, and put in its place when it is whole: two runs of the tests may fetch it at once.
    with tempfile.TemporaryDirectory(prefix="prism-", dir=sys.prefix) as apart:
        command = [npm, "install", "--prefix", apart, "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            [*command, f"@stoplight/prism-cli@{VERSION}"], capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode != 0:
            raise PrismMissing(f"npm could not fetch Prism {VERSION}: {done.stderr[-500:]}")
        Path(apart).chmod(0o755)
        with contextlib.suppress(OSError):  # somebody else was first
            Path(apart).rename(folder)
            Path(apart).mkdir()  # for the end of the block to remove
    if not found.exists():
        raise PrismMissing(f"npm fetched no Prism {VERSION} that can be started")
    return found


@contextlib.contextmanager
def prism_for(document: Path) -> Iterator[str]:
    """Yield the address of a Prism that mocks a document and answers 422 to what is not valid by it.

    Raises:
        PrismMissing: It is not here and cannot be fetched.
    """
    port = free_port()
    command = [program(), "mock", "--host", "127.0.0.1", "--port", str(port), document]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        listening = threading.Event()
        reader = threading.Thread(target=_read, args=(process.stdout, listening, said := []), daemon=True)
        reader.start()
        try:
            listening.wait(60)
            if process.poll() is not None or not listening.is_set():
                raise PrismMissing(f"Prism does not listen: {''.join(said)[-500:]}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            reader.join(10)


def _read(output: IO[str], listening: threading.Event, said: list[str]) -> None:
    """Read all that it says, so that it never waits for a reader; `listening` is set at its end, too."""
    for line in output:
        said.append(line)
        if "is listening" in line:
            listening.set()
    listening.set()
