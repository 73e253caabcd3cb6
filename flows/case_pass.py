"""A pass: one go of the engine over a case, from its first stage that is not finished to where people must decide.

A pass holds a lease on its case, so two runs never work on one case at the same time, and a run that died lets go of it
by itself. What a pass reads may be outdated by a decision made meanwhile: the case's generation says so, and the pass
goes round again before it ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from case_store import signals
from case_store.errors import StoreUnavailable
from case_store.models import CaseRun
from case_store.refusals import PassBusy
from case_store.store import CaseStore
from flows.clock import now

LEASE = timedelta(seconds=15)
_EXTEND_EVERY = LEASE.total_seconds() / 3
_WAIT_STEP = 0.1

log = logging.getLogger(__name__)


class PassLost(Exception):
    """Another run has taken over this case: this one must not go on."""


class NotInAPass(Exception):
    """A stage is run by the flow of its SOP only: start the SOP's deployment instead."""


@dataclass
class Pass:
    """The lease on one case. `generation` is the newest one that this pass has read."""

    store: CaseStore
    case_id: str
    token: str
    generation: int
    advanced: bool = False

    async def moved(self) -> bool:
        """Say whether somebody decided something since the last look, and take note of it."""
        async with self.store.reading() as tx:
            run = await tx.session.get_one(CaseRun, self.case_id)
            if run.pass_token != self.token:
                raise PassLost(f"case {self.case_id}")
            newest = run.generation
        moved, self.generation = newest != self.generation, newest
        return moved


_CURRENT: ContextVar[Pass] = ContextVar("casewright-pass")


def current() -> Pass:
    """Return the pass that the calling stage belongs to.

    Raises:
        NotInAPass: There is none.
    """
    try:
        return _CURRENT.get()
    except LookupError:
        raise NotInAPass(NotInAPass.__doc__) from None


@asynccontextmanager
async def over(store: CaseStore, case_id: str, run_id: str) -> AsyncIterator[Pass]:
    """Hold the lease on a case while the context lasts; set `advanced` on it when all was read and done.

    Raises:
        PassBusy: Another run holds the lease and keeps extending it.
        PassLost: The lease ran out (the process was stopped for long) and another run took it.
    """
    token = f"{run_id}:{uuid4().hex[:8]}"
    one = Pass(store, case_id, token, await _begin(store, case_id, token))
    extending = asyncio.create_task(_extend(one))
    entered = _CURRENT.set(one)
    try:
        yield one
    finally:
        _CURRENT.reset(entered)
        extending.cancel()
        with suppress(asyncio.CancelledError):
            await extending
        async with store.transaction() as tx:
            await signals.end_pass(tx, case_id, token, one.generation if one.advanced else None)


async def _begin(store: CaseStore, case_id: str, token: str) -> int:
    deadline = now() + LEASE * 2
    while True:
        try:
            async with store.transaction() as tx:
                at = now()
                return await signals.begin_pass(tx, case_id, token, until=at + LEASE, at=at)
        except PassBusy:
            if now() > deadline:
                raise
            await asyncio.sleep(_WAIT_STEP)


async def _extend(one: Pass) -> None:
    while True:
        await asyncio.sleep(_EXTEND_EVERY)
        try:
            async with one.store.transaction() as tx:
                at = now()
                if not await signals.extend_pass(tx, one.case_id, one.token, until=at + LEASE, at=at):
                    return
        except StoreUnavailable as error:
            log.warning("The lease on case %s could not be extended yet: %s", one.case_id, error)
