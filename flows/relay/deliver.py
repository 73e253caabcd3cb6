"""Tells Prefect that a case moved: the case's run goes on, or is started.

The signal is the case's generation being ahead of the one that a pass has read (`case_runs`). It stays until a pass has
caught up, so nothing is lost by delivering it badly, late or twice.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun

from case_store import find, signals
from case_store.signals import Signal
from flows import runs, wake
from flows.case_pass import LEASE
from flows.clock import now
from flows.keep_going import keep_going
from flows.resources import Resources

log = logging.getLogger(__name__)

_LOOK_EVERY = 0.25  # for what other processes decide; our own runs call
_AT_ONCE = 4  # more at once keep Prefect's SQLite busy with refusing them
_FIRST_PAUSE = timedelta(milliseconds=100)
_LONGEST_PAUSE = timedelta(seconds=5)


async def deliver_signals(own: Resources, client: PrefectClient) -> None:
    """Deliver signals until cancelled."""

    async def step() -> bool:
        if await deliver_due(own, client):
            wake.worker()
        await wake.relay_called(_LOOK_EVERY)
        return True

    await keep_going(step, "Signals to Prefect", every=1.0)


async def deliver_due(own: Resources, client: PrefectClient) -> int:
    """Deliver the signals that are due; return how many there were."""
    async with own.store.reading() as tx:
        due = await signals.due(tx, now(), limit=_AT_ONCE)
    await asyncio.gather(*(_deliver(own, client, signal) for signal in due))
    return len(due)


async def _deliver(own: Resources, client: PrefectClient, signal: Signal) -> None:
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(signal.attempts, 10))
    async with own.store.transaction() as tx:
        # Put off first: a signal whose delivery fails, or whose run takes its time, comes back by itself.
        await signals.postpone(tx, signal.case_id, until=now() + pause)
    try:
        await advance(own, client, signal)
    except runs.NotDeployed as error:
        log.warning("CASE-%s waits: %s", signal.number, error)
    except Exception as error:  # noqa: BLE001 - Prefect away or overloaded: the signal comes back
        log.info("CASE-%s could not be advanced yet (%s: %s)", signal.number, type(error).__name__, error)


async def advance(own: Resources, client: PrefectClient, signal: Signal) -> None:
    """Have the case's run go on, whatever state it is in."""
    run = await runs.read(client, signal.flow_run_id)
    if run is None or run.state is None or run.state.is_final():
        await start_run(own, client, signal)
    elif run.state.is_paused():
        await client.resume_flow_run(run.id)
    elif await has_died(own, signal.case_id, run):
        await runs.run_again(client, run, "The process that carried it out is gone.")
    # Scheduled or Pending: it will read what was decided. Running: it sees it, or the signal comes back.


async def start_run(own: Resources, client: PrefectClient, signal: Signal) -> None:
    """Start a run for the case; the case's earlier run, if there was one, has ended or is lost."""
    async with own.store.reading() as tx:
        case = await find.case(tx, signal.case_id)
    key = f"{signal.generation}:{signal.flow_run_id or 'first'}"
    run_id = await runs.start_case(client, sop_key=case.sop_key, case_id=case.id, number=case.number, key=key)
    async with own.store.transaction() as tx:
        await signals.bind_run(tx, case.id, str(run_id))


async def has_died(own: Resources, case_id: str, run: FlowRun) -> bool:
    """Say whether a run that claims to be carried out has no process: nobody holds the lease on its case."""
    if not runs.has_stalled(run, own.settings.orphan_after):
        return False
    async with own.store.reading() as tx:
        noted = await signals.run_of(tx, case_id)
    return noted.pass_until is None or noted.pass_until < now() - LEASE
