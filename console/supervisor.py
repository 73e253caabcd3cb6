"""A small supervisor: starts child processes in order, keeps them alive, and takes all of them with it.

Each child leads a process group of its own, so Ctrl-C in the terminal reaches only the supervisor, which then ends the
children one by one in reverse order. What they print goes to their log files.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol, Self

from console.errors import ChildFailed

_REAPER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("reaper.py")))
_LOG_LIMIT = 10 * 1024 * 1024


class Reporter(Protocol):
    """Who is told what goes on."""

    def starting(self, name: str) -> None:
        """A child is being started."""
        ...

    def ready(self, name: str, seconds: float) -> None:
        """A child is ready, after so many seconds."""
        ...

    def died(self, name: str, code: int, again_in: float) -> None:
        """A child ended by itself and will be started again."""
        ...

    def stopping(self, name: str) -> None:
        """A child is being ended."""
        ...


@dataclass(frozen=True)
class Plan:
    """How one child is started, when it counts as ready, and how long it may take to end."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    folder: Path | None = None
    """Where it runs; else where the supervisor does."""
    says: str | None = None
    """Ready when it prints this line."""
    probe: Callable[[], Awaitable[bool]] | None = None
    """Ready when this says so; asked several times a second."""
    start_limit: float = 120.0
    stop_limit: float = 10.0
    first_delay: float = 1.0
    """Seconds before a dead child is started again; doubles with every death, up to `longest_delay`."""
    longest_delay: float = 30.0
    healthy_after: float = 60.0
    """A child that lived this many seconds starts again with `first_delay`."""


@dataclass
class _Child:
    plan: Plan
    process: asyncio.subprocess.Process
    started: float
    said: asyncio.Event = field(default_factory=asyncio.Event)
    output: asyncio.Task[None] | None = None

    async def end(self, limit: float) -> None:
        """Ask the child's group to end; after the limit, kill it."""
        if self.process.returncode is None:
            _signal_group(self.process.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), limit)
        _signal_group(self.process.pid, signal.SIGKILL)  # also what the child left behind in its group
        await self.process.wait()
        if self.output:
            with suppress(TimeoutError):  # a process that left the group may still hold the pipe
                await asyncio.wait_for(self.output, 2.0)


class Supervisor:
    """Holds the children of one `up`; leaving the context ends them all.

    Usage:
        async with Supervisor(reporter) as supervisor:
            await supervisor.start(plan)     # returns when it is ready
            await supervisor.run_once(plan)  # returns when it has ended well
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._children: dict[str, _Child] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._ending = False
        self._pipe = -1
        self._watcher: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        read_end, self._pipe = os.pipe()
        try:
            self._watcher = await asyncio.create_subprocess_exec(
                *_REAPER,
                "watch",
                str(read_end),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(read_end,),
                start_new_session=True,
            )
        finally:
            os.close(read_end)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the children that run now."""
        return {name: child.process.pid for name, child in self._children.items()}

    async def start(self, plan: Plan) -> None:
        """Start a child, wait until it is ready, and keep it running from then on.

        Raises:
            ChildFailed: It ended, or was not ready within its time.
        """
        self._reporter.starting(plan.name)
        child = await self._spawn(plan)
        await self._until_ready(child)
        self._reporter.ready(plan.name, time.monotonic() - child.started)
        self._keepers[plan.name] = asyncio.create_task(self._keep(child), name=f"keep {plan.name}")

    async def run_once(self, plan: Plan) -> None:
        """Run a child to its end.

        Raises:
            ChildFailed: It ended with another code than 0, or took longer than its time.
        """
        self._reporter.starting(plan.name)
        child = await self._spawn(plan)
        try:
            async with asyncio.timeout(plan.start_limit):
                code = await child.process.wait()
        except TimeoutError:
            raise _failed(plan, f"did not finish within {plan.start_limit:.0f} s") from None
        finally:
            await self._bury(child, limit=1.0)
        if code != 0:
            raise _failed(plan, f"ended with code {code}")
        self._reporter.ready(plan.name, time.monotonic() - child.started)

    async def stop(self) -> None:
        """End all children, the last started first; each gets its time, then is killed."""
        if self._ending:
            return
        self._ending = True
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        for child in reversed(list(self._children.values())):
            self._reporter.stopping(child.plan.name)
            await self._bury(child, limit=child.plan.stop_limit)
        os.close(self._pipe)
        if self._watcher:
            await self._watcher.wait()

    async def _spawn(self, plan: Plan) -> _Child:
        plan.log.parent.mkdir(parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            *_REAPER,
            "start",
            str(self._pipe),
            *plan.command,
            env=dict(plan.environment),
            cwd=plan.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=(self._pipe,),
            process_group=0,
        )
        child = _Child(plan, process, time.monotonic())
        child.output = asyncio.create_task(_copy_output(child), name=f"log {plan.name}")
        self._children[plan.name] = child
        return child

    async def _until_ready(self, child: _Child) -> None:
        plan = child.plan
        ready = asyncio.create_task(_ready(child))
        ended = asyncio.create_task(child.process.wait())
        try:
            await asyncio.wait({ready, ended}, timeout=plan.start_limit, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                return ready.result()
            if ended.done():
                await self._bury(child, limit=0.0)
                raise _failed(plan, f"ended with code {ended.result()} before it was ready")
            raise _failed(plan, f"was not ready within {plan.start_limit:.0f} s")
        finally:
            for task in (ready, ended):
                task.cancel()
            await asyncio.gather(ready, ended, return_exceptions=True)

    async def _keep(self, child: _Child) -> None:
        delay = child.plan.first_delay
        while True:
            code = await child.process.wait()
            await self._bury(child, limit=0.0)
            if time.monotonic() - child.started >= child.plan.healthy_after:
                delay = child.plan.first_delay
            self._reporter.died(child.plan.name, code, delay)
            await asyncio.sleep(delay)
            delay = min(max(delay * 2, child.plan.first_delay), child.plan.longest_delay)
            child = await self._again(child.plan)

    async def _again(self, plan: Plan) -> _Child:
        child = await self._spawn(plan)
        with suppress(ChildFailed):  # it died again: the keeper sees to that
            await self._until_ready(child)
            self._reporter.ready(plan.name, time.monotonic() - child.started)
        return child

    async def _bury(self, child: _Child, *, limit: float) -> None:
        await child.end(limit)
        os.write(self._pipe, b"-%d\n" % child.process.pid)
        if self._children.get(child.plan.name) is child:
            del self._children[child.plan.name]


async def _ready(child: _Child) -> None:
    if child.plan.says is not None:
        await child.said.wait()
    while child.plan.probe is not None and not await child.plan.probe():  # noqa: ASYNC110 - another process tells
        await asyncio.sleep(0.1)


async def _copy_output(child: _Child) -> None:
    """Write what the child prints to its log, and notice its word of readiness."""
    stream = child.process.stdout
    if stream is None:  # pragma: no cover - we asked for a pipe
        return
    word = (child.plan.says or "").encode()
    tail = b""
    with _open_log(child.plan.log) as log:
        while chunk := await stream.read(65536):
            log.write(chunk)
            if word and not child.said.is_set():
                *lines, tail = (tail + chunk).split(b"\n")
                if any(line.strip() == word for line in lines):
                    child.said.set()


def _open_log(path: Path) -> IO[bytes]:
    """Open the log for appending, without buffer; a log grown too large is put aside first (one is kept)."""
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab", buffering=0)


def _signal_group(group: int, name: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM for a group of the dead
        os.killpg(group, name)


def _failed(plan: Plan, what: str) -> ChildFailed:
    lines = plan.log.read_text("utf-8", "replace").splitlines()[-8:] if plan.log.exists() else []
    shown = "".join(f"\n    {line}" for line in lines)
    return ChildFailed(f"{plan.name} {what}{shown}", next_step=f"Read its log: {plan.log}")
