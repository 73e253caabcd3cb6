"""Calls between the parts of one process that somebody should look now and not at the next poll.

A call is a hint and may be lost: everybody also looks by itself from time to time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from weakref import WeakKeyDictionary


class _Bell:
    """An event per event loop that is cleared by whoever answers it."""

    def __init__(self) -> None:
        self._events: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Event] = WeakKeyDictionary()

    def _event(self) -> asyncio.Event:
        return self._events.setdefault(asyncio.get_running_loop(), asyncio.Event())

    def ring(self) -> None:
        self._event().set()

    async def heard(self, within: float | None) -> bool:
        """Wait until it rings, at most so many seconds; say whether it rang."""
        event = self._event()
        try:
            async with asyncio.timeout(within):
                await event.wait()
        except TimeoutError:
            return False
        event.clear()
        return True


_worker, _relay = _Bell(), _Bell()


def worker() -> None:
    """Have the worker of this process, if there is one, look for runs that became due."""
    _worker.ring()


def relay() -> None:
    """Have the relay of this process, if there is one, look for cases that moved."""
    _relay.ring()


async def worker_calls() -> AsyncIterator[None]:
    """Yield whenever the worker was called."""
    while True:
        if await _worker.heard(None):
            yield


async def relay_called(within: float) -> bool:
    """Wait until the relay is called, at most so many seconds."""
    return await _relay.heard(within)
