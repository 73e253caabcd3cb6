"""Files that a command reads or writes, with a progress bar for what may take a while."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress, TaskID

from console.errors import FileNotWritten, FileRefused

_CHUNK = 1024 * 1024


def _file_or_dash(_: object, path: Path) -> None:
    if str(path).startswith("-") and str(path) != "-":
        raise ValueError(f"{path} is not an option here; a file of that name is written ./{path}")


Input = Annotated[Path, Parameter(allow_leading_hyphen=True, validator=_file_or_dash)]
"""A file to read, or `-` for standard input."""


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the content of a file, or of standard input for `-`; one byte more than the limit is as much as is read.

    Raises:
        FileRefused: It cannot be read.
    """
    if str(path) == "-":
        return sys.stdin.buffer.read(limit + 1)
    with _opened(path) as file:
        return file.read(limit + 1)


async def chunks(path: Path, console: Console) -> AsyncIterator[bytes]:
    """Yield the content of a file piece by piece, and show how far it is.

    Raises:
        FileRefused: It cannot be read.
    """
    with _opened(path) as file, bar_on(console) as bar:
        task = bar.add_task(
            path.name.encode("ascii", "replace").decode(), total=os.fstat(file.fileno()).st_size or None
        )
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            bar.advance(task, len(chunk))
            yield chunk


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise FileRefused(f"{path}: {error.strerror or error}") from error


def bar_on(console: Console) -> Progress:
    """Return a bar that is seen while something takes long, and only where somebody looks."""
    return Progress(console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def counting(console: Console, name: str, expected: int | None) -> Iterator[Callable[[], object]]:
    """Give what is called for each of many things, and shows how many there were."""
    with bar_on(console) as bar:
        task = bar.add_task(name, total=expected)
        yield partial(bar.advance, task)


@contextmanager
def counting_kinds(
    console: Console, first: str, expected: Mapping[str, int | None]
) -> Iterator[Callable[[str], object]]:
    """Give what is called with the name of a kind for each of many things; each kind has a bar of its own.

    Args:
        console: Where the bars are seen.
        first: What there is to wait for before the first one.
        expected: How many there will be of some kinds.
    """
    with bar_on(console) as bar:
        waiting: TaskID | None = bar.add_task(first, total=None)
        tasks = dict[str, TaskID]()

        def count(kind: str) -> None:
            nonlocal waiting
            if waiting is not None:
                bar.remove_task(waiting)
                waiting = None
            if kind not in tasks:
                tasks[kind] = bar.add_task(kind, total=expected.get(kind))
            bar.advance(tasks[kind])

        yield count


class CountingSink:
    """Takes the lines of an export, passes them on, and shows how many there were."""

    def __init__(self, out: TextIO, bar: Progress, task: TaskID) -> None:
        self._out, self._bar, self._task = out, bar, task

    def write(self, text: str, /) -> object:
        """Take one line."""
        self._bar.advance(self._task)
        return self._out.write(text)


@contextmanager
def lines_to(path: Path | None, console: Console, *, expected: int | None) -> Iterator[CountingSink]:
    """Give a sink for lines: standard output, or a file that appears whole or not at all, for its owner's eyes.

    Raises:
        FileNotWritten: It cannot be written.
    """
    with bar_on(console) as bar:
        task = bar.add_task("events", total=expected)
        if path is None:
            yield CountingSink(sys.stdout, bar, task)
            return
        part = path.with_name(path.name + ".part")
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
                yield CountingSink(out, bar, task)
                out.flush()
                os.fsync(out.fileno())
            part.replace(path)
        except OSError as error:
            raise FileNotWritten(f"{path}: {error.strerror or error}") from error
        finally:
            part.unlink(missing_ok=True)
