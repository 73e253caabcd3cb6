"""Tell the engine that a case has moved, and let one run at a time work on it.

Engine bookkeeping, not audited: a signal is lost without harm, because a sweep finds every case whose generation is
ahead of what was worked on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select, update

from case_store.models import Case, CaseRun
from case_store.refusals import NotFound, PassBusy
from case_store.store import Tx


@dataclass(frozen=True, slots=True)
class Signal:
    """A case that moved since the engine last worked on it.

    Attributes:
        generation: How often the case has moved.
        advanced: The generation that the engine has worked on.
        flow_run_id: The run that carries out the case; None before the first.
        attempts: How often the signal was put off since the case last moved.
    """

    case_id: str
    number: int
    generation: int
    advanced: int
    flow_run_id: str | None
    attempts: int


async def raise_(tx: Tx, case: Case, at: datetime) -> None:
    """Note that the case moved; the relay sees it once the transaction is on record."""
    await _change(tx, case.id, generation=CaseRun.generation + 1, signal_at=at, attempts=0)


async def due(tx: Tx, at: datetime, limit: int = 100) -> list[Signal]:
    """Return the cases that moved and whose signal is not put off, the longest waiting first.

    A pass that works on a case sees for itself that it moved; its signal is due when the pass ends or dies.
    """
    ahead = CaseRun.generation > CaseRun.advanced_generation
    idle = or_(CaseRun.pass_until.is_(None), CaseRun.pass_until <= at)
    rows = await tx.session.execute(
        select(CaseRun, Case.number)
        .join(Case, Case.id == CaseRun.case_id)
        .where(ahead, idle, CaseRun.signal_at <= at)
        .order_by(CaseRun.signal_at, Case.number)
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    return [
        Signal(run.case_id, number, run.generation, run.advanced_generation, run.flow_run_id, run.attempts)
        for run, number in rows
    ]


async def postpone(tx: Tx, case_id: str, until: datetime) -> None:
    """Put the signal off: the run is busy, or could not be reached."""
    await _change(tx, case_id, signal_at=until, attempts=CaseRun.attempts + 1)


async def bind_run(tx: Tx, case_id: str, flow_run_id: str) -> None:
    """Note which flow run carries out the case."""
    await _change(tx, case_id, flow_run_id=flow_run_id)


async def run_of(tx: Tx, case_id: str, *, lock: bool = False) -> CaseRun:
    """Return what is noted about the case's run.

    Raises:
        NotFound: There is no such case.
    """
    wanted = select(CaseRun).where(CaseRun.case_id == case_id).execution_options(populate_existing=True)
    run = await tx.session.scalar(wanted.with_for_update() if lock else wanted)
    if run is None:
        raise NotFound(f"there is no case {case_id}")
    return run


async def begin_pass(tx: Tx, case_id: str, token: str, until: datetime, at: datetime) -> int:
    """Begin to work on the case and return the generation that this pass reads.

    Args:
        tx: The transaction.
        case_id: The case.
        token: Names this pass; the same token again goes on.
        until: When others may believe this pass dead, unless it extends.
        at: Now.

    Raises:
        PassBusy: Another pass is working on it.
    """
    run = await run_of(tx, case_id, lock=True)
    if run.pass_token not in (None, token) and run.pass_until is not None and run.pass_until > at:
        raise PassBusy(f"case {case_id} is worked on by {run.pass_token} until {run.pass_until:%H:%M:%S} UTC")
    run.pass_token, run.pass_until = token, until
    await tx.flush()
    return run.generation


async def extend_pass(tx: Tx, case_id: str, token: str, until: datetime, at: datetime) -> bool:
    """Go on working on the case; False when the pass was too late and another has begun, or it has ended."""
    run = await run_of(tx, case_id, lock=True)
    if run.pass_token != token or run.pass_until is None or run.pass_until <= at:
        return False
    run.pass_until = until
    await tx.flush()
    return True


async def end_pass(tx: Tx, case_id: str, token: str, advanced: int | None) -> bool:
    """Stop working on the case.

    Args:
        tx: The transaction.
        case_id: The case.
        token: Names the pass.
        advanced: The generation up to which everything was worked on; None when the pass broke off.

    Returns:
        False when another pass has begun meanwhile; then nothing is noted.
    """
    run = await run_of(tx, case_id, lock=True)
    if run.pass_token != token:
        return False
    run.pass_token, run.pass_until = None, None
    run.advanced_generation = max(run.advanced_generation, advanced or 0)
    await tx.flush()
    return True


async def _change(tx: Tx, case_id: str, **values: object) -> None:
    await tx.session.execute(
        update(CaseRun).where(CaseRun.case_id == case_id).values(**values).execution_options(synchronize_session=False)
    )
