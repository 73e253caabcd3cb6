"""Exports into a file. It appears whole or not at all; one that was interrupted can go on.

While an export is written there are two files beside the one that it becomes: `FILE.part`, what is written so far, and
`FILE.part.json`, how much of it is safe on the disk and up to which event that goes. Whatever `FILE.part` has beyond
that when the process is killed is cut off before the export goes on: so no event is missing, half or there twice.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from case_store import durable
from case_store.audit import Exported, Selection, exports
from case_store.audit.exports import Begun
from case_store.audit.formats import Format
from console.errors import ExportInterrupted, FileIsThere, FileNotWritten, FileRefused
from console.files import bar_on

if TYPE_CHECKING:
    from case_store.actor import Actor
    from case_store.store import CaseStore
    from console.call import Call

SAFE_EVERY: Final = 5_000
"""Events between two moments at which all that is written is safe on the disk."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is exported and how; `head` is what the file begins with."""

    selection: Selection
    form: Format
    head: str
    by: "Actor"
    personal: bool
    """With the personal values that are disclosed."""
    expected: int | None = None
    """About how many events there are, for the bar."""


@dataclass(frozen=True, slots=True)
class State:
    """How far an export is: `size` bytes of the file are safe, up to the event at place `after` of the trail."""

    format: str
    head: str
    personal: bool
    selection: dict[str, Any]
    export: str
    last: int
    after: int
    size: int
    events: int

    def begun(self) -> Begun:
        """Return the export as the case store knows it."""
        return Begun(self.export, self.last)


def refuse_existing(path: Path, *, replace: bool) -> None:
    """Refuse a file that is there already, a finished export above all, unless it is to be replaced.

    Raises:
        FileIsThere: It is there.
    """
    if not replace and path.exists():
        raise FileIsThere(f"{path} is there already")


async def to_file(store: "CaseStore", path: Path, plan: Plan, call: "Call", *, resume: bool) -> Exported:
    """Export into a file, or go on with that; the file takes the place of one that is there.

    Raises:
        ExportInterrupted: An export into this file was interrupted, and nobody said whether it should go on.
        FileRefused: The file cannot be written, or what is left of the interrupted export does not fit.
    """
    with _part_of(path) as part:
        state = part.state()
        if state is not None and not resume:
            raise ExportInterrupted(f"an export into {path} was interrupted after {state.events} events")
        if state is None:
            state = await _begun(store, part, plan, call)
        else:
            await _take_up(store, part, state, plan, call)
        try:
            state = await _written(store, part, state, plan, call)
        except BaseException:
            call.printer.warn(f"interrupted; what is written so far is kept: go on with --out {path} --resume")
            raise
        part.finish(plan.form.end())
    return Exported(state.events, state.export)


async def _begun(store: "CaseStore", part: "_Part", plan: Plan, call: "Call") -> State:
    selection, form = plan.selection, plan.form.name
    facts = exports.told_of(plan.form, personal=plan.personal)
    begun = await exports.begin(
        store, selection, form, by=plan.by, at=call.now, request_id=call.request_id, facts=facts
    )
    head, told = plan.head.encode(), selection.facts()
    state = State(form, plan.head, plan.personal, told, begun.event_id, begun.last, after=0, size=len(head), events=0)
    part.write(head)
    part.save(state)
    return state


async def _take_up(store: "CaseStore", part: "_Part", state: State, plan: Plan, call: "Call") -> None:
    """Check that it is the same export, and cut off what is not safe."""
    then = (state.format, state.selection, state.head, state.personal)
    if then != (plan.form.name, plan.selection.facts(), plan.head, plan.personal):
        told = " ".join(f"{name} {value}" for name, value in state.selection.items())
        raise FileRefused(
            f"the export that was interrupted is another one: format {state.format}, {told}",
            next_step="Give the options of then, or remove the .part file to begin anew.",
        )
    part.cut(state.size)
    by, at, request_id = plan.by, call.now, call.request_id
    await exports.resume(store, state.begun(), plan.selection, by=by, at=at, request_id=request_id)


async def _written(store: "CaseStore", part: "_Part", state: State, plan: Plan, call: "Call") -> State:
    """Write the events that are missing."""
    done = state
    with bar_on(call.printer.err) as bar:
        task = bar.add_task("events", total=plan.expected, completed=state.events)
        size, events, seen = state.size, state.events, 0
        try:
            missing = exports.lines(
                store, plan.selection, plan.form, state.begun(), after=state.after, personal=plan.personal
            )
            async with aclosing(missing) as found:
                async for after, line in found:
                    content = line.encode()
                    part.write(content)
                    size, events, seen = size + len(content), events + bool(line), seen + 1
                    done = replace(state, after=after, size=size, events=events)
                    bar.advance(task)
                    if seen % SAFE_EVERY == 0:
                        part.save(done)
        finally:
            with suppress(OSError):  # then the state before this one stands
                part.save(done)
    return done


class _Part:
    """What is written so far, and how far that is."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._state = _beside(path, ".part.json")

    def state(self) -> State | None:
        """Return how far an export into this file is, None where there is none to go on with."""
        try:
            return State(**json.loads(self._state.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            step = f"Remove {self._state} to begin anew."
            raise FileRefused(f"{self._state} cannot be read: {error}", next_step=step) from error

    def begin(self) -> None:
        """Throw away a part without a state, and a state without a part: killed before the first, after the last."""
        if os.fstat(self._file.fileno()).st_size == 0:
            self._state.unlink(missing_ok=True)
        elif not self._state.exists():
            self._file.truncate(0)

    def write(self, content: bytes) -> None:
        self._file.write(content)

    def cut(self, size: int) -> None:
        """Leave the first so many bytes, and go on behind them."""
        if os.fstat(self._file.fileno()).st_size < size:
            step = f"Remove {self._state} to begin anew."
            raise FileRefused(f"{self._path}.part is shorter than it was", next_step=step)
        self._file.truncate(size)
        self._file.seek(size)

    def save(self, state: State) -> None:
        """Make all that is written safe, then say so."""
        self._sync()
        new = _beside(self._path, ".part.json.new")
        with _private(new, os.O_TRUNC) as out:
            out.write(json.dumps(asdict(state)).encode())
            out.flush()
            os.fsync(out.fileno())
        new.replace(self._state)
        durable.sync_folder(self._path.parent)

    def finish(self, foot: str) -> None:
        """Let the file appear."""
        self.write(foot.encode())
        self._sync()
        _beside(self._path, ".part").replace(self._path)
        durable.sync_folder(self._path.parent)
        self._state.unlink(missing_ok=True)

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def _part_of(path: Path) -> Iterator[_Part]:
    """Open `FILE.part` for one export at a time, and for its owner's eyes; what cannot go on is emptied."""
    name = _beside(path, ".part")
    try:
        with _private(name) as file:
            _lock(file, name, path)
            part = _Part(path, file)
            try:
                part.begin()
                yield part
            finally:
                if not _beside(path, ".part.json").exists():
                    _remove(file, name)
    except OSError as error:
        raise FileNotWritten(f"{path}: {error.strerror or error}") from error


def _lock(file: BinaryIO, name: Path, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = name.exists() and name.stat().st_ino == os.fstat(file.fileno()).st_ino
    except BlockingIOError:
        ours = False
    if not ours:  # somebody writes it, or has just finished it
        raise FileRefused(f"another export into {path} is under way", next_step="Wait for it, or name another file.")


def _remove(file: BinaryIO, name: Path) -> None:
    """Take a part away that holds nothing which could go on; never somebody else's."""
    with suppress(FileNotFoundError):
        if name.stat().st_ino == os.fstat(file.fileno()).st_ino:
            name.unlink()


def _private(path: Path, more: int = 0) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | more, 0o600), "r+b", buffering=1024 * 1024)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
