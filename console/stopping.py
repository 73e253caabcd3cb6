"""How a person ends what runs until it is ended: Ctrl-C, SIGTERM, a closed terminal; twice if in a hurry."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

_IN_A_HURRY = 130
"""Exit code after a second signal."""


async def until_stopped(work: Coroutine[None, None, None]) -> bool:
    """Run until the work is done, or until Ctrl-C, SIGTERM or a closed terminal; say whether it was done."""
    async with stop_signals() as stop:
        working = asyncio.create_task(work)
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if not working.done():
                working.cancel()
        try:
            await working  # while it ends what it started, a second signal still counts
        except asyncio.CancelledError:
            return False
    return True


@asynccontextmanager
async def stop_signals() -> AsyncIterator[asyncio.Event]:
    """Give an event that is set by Ctrl-C, SIGTERM or a closed terminal, in place of their usual end of the process.

    A second signal ends this process at once; the watcher then ends the children.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def asked_to_stop() -> None:
        if stop.is_set():
            os._exit(_IN_A_HURRY)
        stop.set()

    for name in names:
        loop.add_signal_handler(name, asked_to_stop)
    try:
        yield stop
    finally:
        for name in names:
            loop.remove_signal_handler(name)
