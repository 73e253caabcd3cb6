"""Makes sure that no child outlives a supervisor that died without a word (kill -9, power of the shell, crash).

Run as a plain script, without site-packages, so that it starts in a few milliseconds and weighs almost nothing:

    reaper.py watch FD             one per supervisor: learns the children's process groups on FD; at its end, ends them
    reaper.py start FD COMMAND...  once per child: tells its own process group on FD, then becomes COMMAND

The kernel closes the supervisor's end of the pipe whatever it died of, and the child says who it is before it becomes
what it shall be: there is no moment in between, on Linux and on macOS alike, and grandchildren go with their group.
"""

import os
import signal
import sys
import time
from contextlib import suppress

GRACE = 5.0
"""Seconds that orphans get to end by themselves before they are killed."""


def start(pipe: int, command: list[str]) -> None:
    """Tell the watcher who we are, then become the command."""
    os.write(pipe, b"+%d\n" % os.getpid())
    os.close(pipe)
    os.execvp(command[0], command)  # noqa: S606 - the command is the supervisor's own


def watch(pipe: int) -> None:
    """Keep the list of living process groups until the supervisor's end of the pipe closes; then end them."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # Ctrl-C is the supervisor's business
    groups: set[int] = set()
    with os.fdopen(pipe, "rb") as lines:
        for line in lines:
            (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
    _send(groups, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while (alive := {group for group in groups if _alive(group)}) and time.monotonic() < until:
        time.sleep(0.05)
    _send(alive, signal.SIGKILL)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def _send(groups: set[int], name: signal.Signals) -> None:
    for group in groups:
        with suppress(OSError):
            os.killpg(group, name)


if __name__ == "__main__":
    mode, fd, *rest = sys.argv[1:]
    if mode == "start":
        start(int(fd), rest)
    else:
        watch(int(fd))
