"""Loops that nothing ends but being stopped: whatever goes wrong in a step is said, and the step is taken again.

The relay does many things side by side. A mistake in one of them, or a disk that is full, must not end the others; so
each is a step that is taken again and again here, and none has a loop of its own.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Never, TypeVar

from case_store.errors import (
    GuardError,
    StoreDamaged,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StoreUnwritable,
)
from notifiers.errors import NotifierError

log = logging.getLogger(__name__)

_SAY_AGAIN: Final = 600.0  # seconds
_SOON: Final = 2.0
_REMEMBERED: Final = 200
_LONGEST: Final = 30.0
_NEXT_STEP: Final = "the rest goes on and this is tried again; report it with these lines if it stays"
_OURS: Final = (StoreError, NotifierError)
_OF_ALL: Final = (StoreFull, StoreUnwritable, StoreDamaged, StoreDenied)
STORE_AWAY: Final = (StoreUnavailable, *_OF_ALL)
"""Errors that say nothing about the change itself: it can be made once the case store is well again."""
Known = tuple[type[Exception], ...]
Late = TypeVar("Late")
Found = TypeVar("Found")


async def keep_going(
    step: Callable[[], Awaitable[object]], what: str, *, every: float, longest: float = _LONGEST, known: Known = ()
) -> Never:
    """Take a step again and again, until cancelled: at once while it gets something done, else after a pause.

    Args:
        step: The step; it returns something true when there may be more to do.
        what: What it is about, as an operator reads it.
        every: Seconds until the next one when nothing was to be done.
        longest: Seconds to which the pause grows while the step fails, unless it is for the case store, which is asked
            again soon.
        known: Errors that are no mistake, because the other side is away or refuses; they are said in one line.
    """
    trouble = Trouble(what, known)
    while True:
        if not await _taken(step, trouble, every, longest):
            await asyncio.sleep(every)


async def at_last(
    step: Callable[[], Awaitable[Found]], what: str, *, every: float, longest: float = _LONGEST, known: Known = ()
) -> Found:
    """Take a step until it does not fail, and return what it gives; everything else is as with `keep_going`."""
    return await _taken(step, Trouble(what, known), every, longest)


async def _taken(step: Callable[[], Awaitable[Found]], trouble: Trouble, every: float, longest: float) -> Found:
    pause = again = min(every, _SOON)
    while True:
        try:
            found = await step()
        except Exception as error:  # noqa: BLE001 - it is said, and nothing else may end
            trouble.met(error)
            of_store = isinstance(error, StoreError) and not isinstance(error, (GuardError, *trouble.known))
            await asyncio.sleep(again if of_store else pause)
            pause = min(longest, pause * 2)
        else:
            trouble.over()
            return found


@dataclass(slots=True)
class Trouble:
    """What goes wrong in one place: each different error is said once, and once more when it lasts.

    Attributes:
        what: What it is about.
        known: Errors that are said in one line, without where in the program they come from.
    """

    what: str
    known: Known = ()
    _said: dict[str, float] = field(default_factory=dict)
    _goes_on: bool = True

    def met(self, error: Exception, about: str = "") -> None:
        """Say an error, unless it was said a short while ago; `about` names the thing that it is about."""
        words = "".join(traceback.format_exception_only(error)).strip()
        if monotonic() - self._said.get(about + words, -_SAY_AGAIN) < _SAY_AGAIN:
            return
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said[about + words] = monotonic()
        self._goes_on = False
        what = f"{self.what}, {about}" if about else self.what
        if isinstance(error, GuardError) or not isinstance(error, (*_OURS, *self.known)):
            log.error("%s: %s\n  next: %s", what, words, _NEXT_STEP, exc_info=error)
        elif isinstance(error, _OURS):
            log.warning("%s: %s", what, error.diagnostics())
        else:
            log.warning("%s: %s; it is tried again", what, words)

    def over(self) -> None:
        """Say that it goes on again, if the last that was said is that it does not."""
        if not self._goes_on:
            log.info("%s: it goes on", self.what)
            self._goes_on = True


@dataclass(slots=True)
class Done:
    """What came of doing something for each of many: how many were done, and which ones cannot be for now."""

    number: int = 0
    stuck: set[str] = field(default_factory=set)


async def each(
    due: Callable[[int], Awaitable[Sequence[Late]]],
    handle: Callable[[Late], Awaitable[bool]],
    trouble: Trouble,
    *,
    batch: int = 100,
    at_once: int = 1,
) -> Done:
    """Do something once for each that is due; one for which it fails keeps nobody behind it waiting.

    Args:
        due: Returns those that are due, as many as it is told at most.
        handle: Does it, and tells whether there was something to do.
        trouble: Says what goes wrong.
        batch: How many to ask for at once.
        at_once: How many to do at once; nobody says which of them is done first.
    """
    done, seen = Done(), set[str]()
    while new := [one for one in await due(batch + len(seen)) if _id(one) not in seen]:
        for start in range(0, len(new), at_once):
            some = new[start : start + at_once]
            seen.update(_id(one) for one in some)
            came = await asyncio.gather(*(handle(one) for one in some), return_exceptions=True)
            for one, took in zip(some, came, strict=True):
                if isinstance(took, BaseException):
                    _failed(took, _id(one), trouble, done)
                elif took:
                    seen.discard(_id(one))
                    done.number += 1
    return done


def _failed(error: BaseException, name: str, trouble: Trouble, done: Done) -> None:
    if not isinstance(error, Exception) or type(error) is StoreUnavailable or isinstance(error, _OF_ALL):
        raise error  # so it would be for all others
    trouble.met(error, name)
    if not isinstance(error, StoreUnavailable):
        done.stuck.add(name)


def _id(one: Any) -> str:  # noqa: ANN401 - a row, or its id
    return one if isinstance(one, str) else str(one.id)
