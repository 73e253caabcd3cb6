"""The supervisor with small children of our own: start, readiness, restart, order of the end, no orphans."""

import asyncio
import os
import signal
import sys
from dataclasses import replace

import pytest

from console.errors import ChildFailed
from console.supervisor import Plan, Supervisor

LIMIT = 20
"""Seconds after which a test that waits for an event has failed."""


class Notes:
    """Remembers what it is told, and wakes whoever waits for the next word."""

    def __init__(self):
        self.said = []
        self.news = asyncio.Condition()

    def _note(self, *words):
        self.said.append(words)
        self._task = asyncio.ensure_future(self._wake())

    async def _wake(self):
        async with self.news:
            self.news.notify_all()

    def starting(self, name):
        self._note("starting", name)

    def ready(self, name, seconds):
        self._note("ready", name)

    def died(self, name, code, again_in):
        self._note("died", name, code, again_in)

    def stopping(self, name):
        self._note("stopping", name)

    async def until(self, *words, times=1):
        async with asyncio.timeout(LIMIT), self.news:
            await self.news.wait_for(lambda: self.said.count(words) >= times)


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def plan(tmp_path):
    def make(name, script, **how):
        how.setdefault("first_delay", 0.0)
        return Plan(name, (sys.executable, "-c", script), os.environ, tmp_path / "logs" / f"{name}.log", **how)

    return make


READY_THEN_WAIT = "import signal; print('ready', flush=True); signal.pause()"


def alive(pid):
    """Whether a child of this very process still runs (its supervisor has reaped it when it does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_child_is_ready_when_it_says_so(notes, plan):
    async with Supervisor(notes) as supervisor:
        await supervisor.start(plan("one", READY_THEN_WAIT, says="ready"))
        assert notes.said == [("starting", "one"), ("ready", "one")]


async def test_a_child_is_ready_when_the_probe_says_so(notes, plan):
    asked = []

    async def probe():
        asked.append(1)
        return len(asked) == 3

    async with Supervisor(notes) as supervisor:
        await supervisor.start(plan("one", "import signal; signal.pause()", probe=probe))
    assert len(asked) == 3


async def test_what_children_print_goes_to_their_logs(notes, plan):
    script = "import sys; print('to stdout'); print('to stderr', file=sys.stderr)"
    told = plan("one", script)
    async with Supervisor(notes) as supervisor:
        await supervisor.run_once(told)
    assert sorted(told.log.read_text().splitlines()) == ["to stderr", "to stdout"]


async def test_a_child_that_ends_before_it_is_ready_is_an_error_that_shows_its_last_words(notes, plan):
    broken = plan("one", "print('no such table'); raise SystemExit(3)", says="ready")
    async with Supervisor(notes) as supervisor:
        with pytest.raises(ChildFailed, match=r"one ended with code 3 before it was ready\n +no such table") as refused:
            await supervisor.start(broken)
        assert supervisor.pids == {}
    assert str(broken.log) in refused.value.diagnostics()


async def test_a_child_that_is_not_ready_in_time_is_an_error_and_is_ended(notes, plan):
    async with Supervisor(notes) as supervisor:
        with pytest.raises(ChildFailed, match="was not ready within"):
            await supervisor.start(plan("slow", "import signal; signal.pause()", says="ready", start_limit=0.2))
        (pid,) = supervisor.pids.values()
    assert not alive(pid)


async def test_a_one_off_that_fails_is_an_error(notes, plan):
    async with Supervisor(notes) as supervisor:
        with pytest.raises(ChildFailed, match="ended with code 4"):
            await supervisor.run_once(plan("job", "raise SystemExit(4)"))


async def test_a_dead_child_is_started_again_with_growing_pauses(notes, plan, tmp_path):
    script = "print('ready', flush=True); raise SystemExit(7)"
    dying = plan("one", script, says="ready", first_delay=0.01, longest_delay=0.02)
    async with Supervisor(notes) as supervisor:
        await supervisor.start(dying)
        await notes.until("died", "one", 7, 0.02, times=2)
    deaths = [words for words in notes.said if words[0] == "died"]
    assert deaths[:2] == [("died", "one", 7, 0.01), ("died", "one", 7, 0.02)]


async def test_a_killed_child_comes_back(notes, plan):
    async with Supervisor(notes) as supervisor:
        await supervisor.start(plan("one", READY_THEN_WAIT, says="ready"))
        first = supervisor.pids["one"]
        os.kill(first, signal.SIGKILL)
        await notes.until("ready", "one", times=2)
        assert supervisor.pids["one"] != first


async def test_children_end_in_reverse_order(notes, plan, tmp_path):
    book = tmp_path / "ends"
    script = (
        "import signal, sys, os\n"
        "def end(*_):\n"
        "    open({book!r}, 'a').write({name!r} + '\\n'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    async with Supervisor(notes) as supervisor:
        for name in ("first", "second", "third"):
            await supervisor.start(plan(name, script.format(book=str(book), name=name), says="ready"))
    assert book.read_text().split() == ["third", "second", "first"]


FAMILY = """
import os, signal, subprocess, sys
life = os.open(sys.argv[1], os.O_WRONLY)
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], pass_fds=[life])
print("ready", flush=True)
while True:
    signal.pause()
"""
"""A child with a child of its own; both hold the FIFO of `Lifeline` open as long as they live."""


class Lifeline:
    """A FIFO that ends when the last process that holds it open is gone."""

    def __init__(self, path):
        self.path = path
        os.mkfifo(path)
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def ended(self):
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(self._reader, "rb")
        )
        try:
            return await asyncio.wait_for(stream.read(1), LIMIT) == b""
        finally:
            transport.close()


@pytest.fixture
def lifeline(tmp_path):
    return Lifeline(tmp_path / "lifeline")


async def test_a_child_that_will_not_end_is_killed_with_its_own_children(notes, plan, lifeline):
    stubborn = plan("stubborn", FAMILY, says="ready", stop_limit=0.1)
    stubborn = replace(stubborn, command=(*stubborn.command, str(lifeline.path), "stubborn"))
    async with Supervisor(notes) as supervisor:
        await supervisor.start(stubborn)
    assert await lifeline.ended()


async def test_leaving_while_a_child_starts_ends_it(notes, plan):
    """Ctrl-C during start-up leaves nothing behind."""
    pids = {}

    async def begin():
        async with Supervisor(notes) as supervisor:
            try:
                await supervisor.start(plan("slow", "import signal; signal.pause()", says="ready"))
            finally:
                pids.update(supervisor.pids)

    starting = asyncio.create_task(begin())
    await notes.until("starting", "slow")
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not any(alive(pid) for pid in pids.values())


SUPERVISOR_OF_TWO = """
import asyncio, os, pathlib, sys
from console.supervisor import Plan, Supervisor

class Silent:
    def __getattr__(self, name):
        return lambda *_: None

async def main(script, lifeline, logs):
    async with Supervisor(Silent()) as supervisor:
        for name in ("gentle", "stubborn"):
            command = (sys.executable, "-c", script, lifeline, name)
            await supervisor.start(Plan(name, command, os.environ, pathlib.Path(logs) / name, says="ready"))
        print("up", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_no_orphans_when_the_supervisor_is_killed(tmp_path, lifeline):
    """kill -9 on the supervisor: its children and their children end all the same, even those that ignore SIGTERM."""
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SUPERVISOR_OF_TWO, FAMILY, lifeline.path, tmp_path / "logs"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert await asyncio.wait_for(supervisor.stdout.readline(), LIMIT) == b"up\n"
    supervisor.kill()
    await supervisor.wait()
    assert await lifeline.ended()
