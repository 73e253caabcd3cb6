"""How long things take: of one case, and of all cases by SOP and severity, as managers ask for it.

A task is acknowledged when somebody says so, or else when it is decided; a case is with its first task. Working time is
that of the calendar that the case has now; wall time is what the clock on the wall says.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import fmean, median, quantiles
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from case_store import deadlines
from case_store.clocks import Times
from case_store.models import Case, Deadline, Person, Task
from case_store.store import Tx
from sop.worktime import ALWAYS, Calendar


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

    Mean, median and 90th percentile are of those that were acknowledged, or are closed; `count` has all.

    Attributes:
        mtta: Mean time to acknowledge; that of a case ends when somebody acknowledges or decides its first task.
        mttr: Mean time to resolve: to close it.
    """

    what: str
    sop: str
    severity: str
    count: int
    closed: int
    breached: int
    mtta: int | None
    acknowledge_median: int | None
    acknowledge_p90: int | None
    mttr: int | None
    close_median: int | None
    close_p90: int | None
    worked_mean: int | None
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
    calendar = (await Times.of(tx, case)).calendar
    first = await tx.session.scalar(select(func.min(_SEEN)).where(Task.case_id == case.id))
    asked = select(Task).where(Task.case_id == case.id, Task.opened_at.is_not(None)).order_by(Task.position)
    rows = await tx.session.scalars(asked)
    its = [_duration(task.key, task, task.acknowledged_at or task.decided_at, calendar) for task in rows]
    return [_duration(None, case, first, calendar), *its]


async def times(tx: Tx, *, since: datetime | None = None, until: datetime | None = None) -> list[TimesRow]:
    """Return how long cases and tasks take, by SOP and severity; of cases that were opened in a time.

    Only what is counted is read, some thousand rows at a time: there may be millions of tasks.
    """
    span = [Case.opened_at >= since] if since else []
    span += [Case.opened_at < until] if until else []
    calendars = await _calendars(tx, span)
    first = select(Task.case_id, func.min(_SEEN).label("seen_at")).group_by(Task.case_id).subquery()
    of_cases = select(*_OF_CASE, *_clock_of(Case), first.c.seen_at).outerjoin(first, first.c.case_id == Case.id)
    of_tasks = select(*_OF_CASE, *_clock_of(Task), _SEEN.label("seen_at")).join(Task, Task.case_id == Case.id)
    found: dict[tuple[str, str, str], _Spreads] = defaultdict(_Spreads)
    for what, wanted in (("cases", of_cases), ("tasks", of_tasks.where(Task.opened_at.is_not(None)))):
        rows = await tx.session.stream(wanted.where(*span).execution_options(yield_per=_AT_ONCE))
        async for some in rows.partitions():
            for row in some:
                calendar = calendars[row.sop_digest, row.severity]
                found[what, row.sop_key, row.severity].add(_duration(None, row, row.seen_at, calendar))
    return [spreads.row(*key) for key, spreads in sorted(found.items())]


async def _calendars(tx: Tx, span: Sequence[ColumnElement[bool]]) -> dict[tuple[str, str], Calendar]:
    """Return by which calendar cases count, by their SOP's digest and their severity."""
    one_of_each = select(func.min(Case.id)).where(*span).group_by(Case.sop_digest, Case.severity)
    cases = await tx.session.scalars(select(Case).where(Case.id.in_(one_of_each)))
    return {(case.sop_digest, case.severity): (await Times.of(tx, case)).calendar for case in cases.all()}


_AT_ONCE: Final = 5_000
# Acknowledging comes first; where nobody said so, deciding is it.
_SEEN: Final = func.coalesce(Task.acknowledged_at, Task.decided_at)
_OF_CASE: Final = (Case.sop_key, Case.severity, Case.sop_digest)


def _clock_of(table: type[Case | Task]) -> tuple[InstrumentedAttribute[Any], ...]:
    return (
        table.opened_at,
        table.closed_at,
        table.clock_at,
        table.spent_us,
        table.due_at,
        table.overdue_at,
    )


class _Clocked(Protocol):
    """A case or a task, or those of its columns that are counted."""

    opened_at: Any
    closed_at: Any
    clock_at: Any
    spent_us: Any
    due_at: Any
    overdue_at: Any


def _duration(name: str | None, row: _Clocked, seen_at: datetime | None, calendar: Calendar) -> Duration:
    opened, closed = row.opened_at, row.closed_at
    return Duration(
        name=name,
        to_acknowledge=_seconds(seen_at - opened if seen_at and opened else None),
        to_close=_seconds(closed - opened if closed and opened else None),
        worked=_seconds(_worked(row, calendar)),
        breached=row.overdue_at is not None or (row.due_at is not None and closed is not None and closed > row.due_at),
    )


def _worked(row: _Clocked, calendar: Calendar) -> timedelta | None:
    """Return the working time of what is closed; its last part is not counted before somebody asks for it."""
    if row.closed_at is None:
        return None
    spent = timedelta(microseconds=row.spent_us or 0)
    begun = row.opened_at if row.clock_at is None and row.due_at is not None else row.clock_at
    if begun is None:
        return spent
    return spent + (row.closed_at - begun if calendar is ALWAYS else calendar.between(begun, row.closed_at))


def _seconds(time: timedelta | None) -> int | None:
    return round(time.total_seconds()) if time is not None else None


@dataclass(slots=True)
class _Spreads:
    """The durations of one row of the table, in eight bytes each."""

    count: int = 0
    breached: int = 0
    acknowledge: array[int] = field(default_factory=lambda: array("q"))
    close: array[int] = field(default_factory=lambda: array("q"))
    worked: array[int] = field(default_factory=lambda: array("q"))

    def add(self, one: Duration) -> None:
        self.count += 1
        self.breached += one.breached
        for values, value in (
            (self.acknowledge, one.to_acknowledge),
            (self.close, one.to_close),
            (self.worked, one.worked),
        ):
            if value is not None:
                values.append(value)

    def row(self, what: str, sop: str, severity: str) -> TimesRow:
        return TimesRow(
            what=what,
            sop=sop,
            severity=severity,
            count=self.count,
            closed=len(self.close),
            breached=self.breached,
            mtta=_mean(self.acknowledge),
            acknowledge_median=_median(self.acknowledge),
            acknowledge_p90=_p90(self.acknowledge),
            mttr=_mean(self.close),
            close_median=_median(self.close),
            close_p90=_p90(self.close),
            worked_mean=_mean(self.worked),
            worked_median=_median(self.worked),
            worked_p90=_p90(self.worked),
        )


def _mean(values: Sequence[int]) -> int | None:
    return round(fmean(values)) if values else None


def _median(values: Sequence[int]) -> int | None:
    return round(median(values)) if values else None


def _p90(values: Sequence[int]) -> int | None:
    if len(values) > 1:
        return round(quantiles(values, n=10, method="inclusive")[-1])
    return values[0] if values else None


async def _deadline(tx: Tx, row: Deadline) -> DeadlineEntry:
    who = await tx.session.get(Person, row.met_by_id) if row.met_by_id else None
    if row.met_at is not None:
        met = "met late" if row.met_at > row.due_at else "met"
        state = met if row.met_by_id else "not needed"
    else:
        state = "missed" if row.missed_at else "near" if row.warned_at else "running"
    return DeadlineEntry(row.name, row.from_at, row.due_at, state, row.met_at, who.handle if who else None, row.how)
