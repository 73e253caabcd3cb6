"""How long things take: of one case, and of all cases by SOP and severity, as managers ask for it.

A task is acknowledged when somebody says so, or else when it is decided. Working time is that of the calendar that the
case has now; wall time is what the clock on the wall says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median, quantiles

from sqlalchemy import select

from case_store import clocks, deadlines
from case_store.clocks import Times
from case_store.models import Case, Deadline, Person, Task
from case_store.store import Tx


@dataclass(frozen=True, slots=True)
class DeadlineEntry:
    """A deadline of a case; its state is running, near (warned of), missed, met, met late or not needed."""

    name: str
    from_at: datetime
    due_at: datetime
    state: str
    met_at: datetime | None
    by: str | None
    how: str | None


@dataclass(frozen=True, slots=True)
class Duration:
    """How long one task or case took, in whole seconds; None: not yet, or not known.

    Attributes:
        name: The task's key; the case itself has none.
        to_acknowledge: From being asked to being acknowledged, on the wall.
        to_close: From being asked to its end, on the wall.
        worked: The same in working time, without pauses.
        breached: It was not closed by its due time.
    """

    name: str | None
    to_acknowledge: int | None
    to_close: int | None
    worked: int | None
    breached: bool


@dataclass(frozen=True, slots=True)
class CaseTimes:
    """The times of a case."""

    due_at: datetime | None
    overdue: bool
    paused_at: datetime | None
    pause_reason: str | None
    deadlines: tuple[DeadlineEntry, ...]


@dataclass(frozen=True, slots=True)
class TimesRow:
    """What is known of all cases, or all tasks, of one SOP and severity; times in whole seconds, None without any.

    The median and the 90th percentile are of those that are closed; `count` has the open ones too.
    """

    what: str
    sop: str
    severity: str
    count: int
    closed: int
    breached: int
    acknowledge_median: int | None
    acknowledge_p90: int | None
    close_median: int | None
    close_p90: int | None
    worked_median: int | None
    worked_p90: int | None


async def case_times(tx: Tx, case: Case) -> CaseTimes:
    """Return the times of a case."""
    return CaseTimes(
        due_at=case.due_at,
        overdue=case.overdue_at is not None,
        paused_at=case.paused_at,
        pause_reason=case.pause_reason,
        deadlines=tuple([await _deadline(tx, row) for row in await deadlines.all_of(tx, case)]),
    )


async def durations(tx: Tx, case: Case) -> list[Duration]:
    """Return how long a case took, then each of its tasks that were asked, in the order of its SOP."""
    its = await Times.of(tx, case)
    asked = select(Task).where(Task.case_id == case.id, Task.opened_at.is_not(None)).order_by(Task.position)
    return [_of_case(case, its), *(_of_task(task, its) for task in await tx.session.scalars(asked))]


async def times(tx: Tx, *, since: datetime | None = None, until: datetime | None = None) -> list[TimesRow]:
    """Return how long cases and tasks take, by SOP and severity; of cases that were opened in a time."""
    wanted = select(Case).order_by(Case.number)
    wanted = wanted.where(Case.opened_at >= since) if since else wanted
    wanted = wanted.where(Case.opened_at < until) if until else wanted
    found: dict[tuple[str, str, str], list[Duration]] = defaultdict(list)
    known = {case.id: (case, await Times.of(tx, case)) for case in await tx.session.scalars(wanted)}
    for case, its_times in known.values():
        found["cases", case.sop_key, case.severity].append(_of_case(case, its_times))
    for task in await tx.session.scalars(select(Task).where(Task.opened_at.is_not(None))):
        if task.case_id in known:
            case, its_times = known[task.case_id]
            found["tasks", case.sop_key, case.severity].append(_of_task(task, its_times))
    return [_row(*key, took) for key, took in sorted(found.items())]


def _row(what: str, sop: str, severity: str, took: list[Duration]) -> TimesRow:
    acknowledge, close, worked = (
        _Spread.of(getattr(one, name) for one in took) for name in ("to_acknowledge", "to_close", "worked")
    )
    return TimesRow(
        what=what,
        sop=sop,
        severity=severity,
        count=len(took),
        closed=len(close.values),
        breached=sum(one.breached for one in took),
        acknowledge_median=acknowledge.median,
        acknowledge_p90=acknowledge.p90,
        close_median=close.median,
        close_p90=close.p90,
        worked_median=worked.median,
        worked_p90=worked.p90,
    )


@dataclass(frozen=True, slots=True)
class _Spread:
    values: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, values: Iterable[int | None]) -> _Spread:
        return cls([value for value in values if value is not None])

    @property
    def median(self) -> int | None:
        return round(median(self.values)) if self.values else None

    @property
    def p90(self) -> int | None:
        if len(self.values) > 1:
            return round(quantiles(self.values, n=10, method="inclusive")[-1])
        return self.values[0] if self.values else None


def _of_case(case: Case, its: Times) -> Duration:
    worked = clocks.spent_until(case, its, case.closed_at) if case.closed_at else None
    return Duration(
        name=None,
        to_acknowledge=None,
        to_close=_seconds(case.closed_at - case.opened_at if case.closed_at else None),
        worked=_seconds(worked),
        breached=_late(case.overdue_at, case.due_at, case.closed_at),
    )


def _of_task(task: Task, its: Times) -> Duration:
    opened, closed = task.opened_at, task.closed_at
    seen = min(filter(None, (task.acknowledged_at, task.decided_at)), default=None)
    worked = clocks.spent_until(task, its, closed) if closed else None
    return Duration(
        name=task.key,
        to_acknowledge=_seconds(seen - opened if seen and opened else None),
        to_close=_seconds(closed - opened if closed and opened else None),
        worked=_seconds(worked),
        breached=_late(task.overdue_at, task.due_at, closed),
    )


def _late(overdue_at: datetime | None, due_at: datetime | None, closed_at: datetime | None) -> bool:
    return overdue_at is not None or (due_at is not None and closed_at is not None and closed_at > due_at)


def _seconds(time: timedelta | None) -> int | None:
    return round(time.total_seconds()) if time is not None else None


async def _deadline(tx: Tx, row: Deadline) -> DeadlineEntry:
    who = await tx.session.get(Person, row.met_by_id) if row.met_by_id else None
    if row.met_at is not None:
        met = "met late" if row.met_at > row.due_at else "met"
        state = met if row.met_by_id else "not needed"
    else:
        state = "missed" if row.missed_at else "near" if row.warned_at else "running"
    return DeadlineEntry(row.name, row.from_at, row.due_at, state, row.met_at, who.handle if who else None, row.how)
