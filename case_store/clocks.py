"""The clocks of a case, its stages and its tasks: they start, stop and go on; what was spent stays spent.

A row that is audited has `clock_at` (since when its time runs; None: it does not), `spent_us` (the microseconds of
working time that ran before) and `due_at` (when all its time will be spent; None while it does not run, or without an
SLA). These functions change rows; whoever calls them records the event.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from case_store import sla, sops
from case_store.models import Case, Severity, Stage, Task
from case_store.store import Tx
from sop import ladder
from sop.ladder import Clock
from sop.model import Sla, Sop
from sop.worktime import ALWAYS, Calendar, NoWorkingTime

log = logging.getLogger(__name__)

_US = timedelta(microseconds=1)
Clocked = Case | Stage | Task


@dataclass(frozen=True, slots=True)
class Times:
    """What decides the times of a case: its SOP, and the calendar that its severity asks for."""

    case: Case
    sop: Sop
    calendar: Calendar
    severity: Severity

    @classmethod
    async def of(cls, tx: Tx, case: Case) -> Times:
        """Return what decides the times of a case as it is now."""
        sop = (await sops.pinned(tx, case)).sop
        return cls(case, sop, sla.calendar(tx, case, sop), case.severity)

    def limit(self, row: Clocked) -> timedelta | None:
        """Return how long something may take; None when there is no limit."""
        rule = self._rule(row)
        return rule.of(self.severity) if rule else None

    def _rule(self, row: Clocked) -> Sla | None:
        if isinstance(row, Case):
            return self.sop.sla
        return self.sop.stage(row.key).sla if isinstance(row, Stage) else self.sop.task(row.key).sla

    def clock(self, row: Clocked) -> Clock | None:
        """Return the clock of something; None when it does not run or has no limit."""
        limit, start = self.limit(row), since(row)
        return Clock(start, spent(row), limit) if limit is not None and start is not None else None


def since(row: Clocked) -> datetime | None:
    """Return since when the time of something runs; None when it does not."""
    if row.clock_at is not None or row.due_at is None:
        return row.clock_at
    # It began before clocks were kept.
    return row.started_at if isinstance(row, Stage) else row.opened_at


def spent(row: Clocked) -> timedelta:
    """Return the working time that ran before the clock was started the last time."""
    return (row.spent_us or 0) * _US


def start(row: Clocked, times: Times, at: datetime) -> None:
    """Let the time of something run from now, unless it or its case is paused."""
    if not is_paused(row, times.case):
        row.clock_at = at
        clock = times.clock(row)
        row.due_at = clock.due(times.calendar) if clock else None
        if row.overdue_at is not None and (row.due_at is None or row.due_at > at):
            row.overdue_at = None
    if isinstance(row, Task):
        _begin_ladder(row, times, at)


def restart(row: Clocked, times: Times, at: datetime, *, due_at: datetime | None) -> None:
    """Let the time of something run from the beginning, from now; `due_at` is when its SLA ends."""
    forget(row)
    start(row, times, at)
    if not is_paused(row, times.case):
        row.due_at = due_at
    if isinstance(row, Task):
        _begin_ladder(row, times, at)


def forget(row: Clocked) -> None:
    """Take away what is known of the time of something, as of a task that waits again to be asked."""
    row.clock_at = row.due_at = row.overdue_at = row.spent_us = None
    if isinstance(row, Task):
        row.acknowledged_at = row.acknowledged_by_id = row.acknowledged_via = None
        row.paused_at = row.pause_reason = row.ladder_at = row.rungs = row.rung_at = None


def go_on(row: Clocked, times: Times, stopped_at: datetime, at: datetime) -> None:
    """Let the time of something go on that has ended meanwhile: what passed since then does not count."""
    stop(row, times, stopped_at)
    start(row, times, at)


def stop(row: Clocked, times: Times, at: datetime) -> None:
    """Stop the time of something: what has run since it was started is spent, and it is due at no time."""
    begun = since(row)
    if begun is not None:
        row.spent_us = (spent(row) + times.calendar.between(begun, at)) // _US
    row.clock_at = row.due_at = None
    if isinstance(row, Task):
        row.rung_at = None


def change(row: Clocked, old: Times, new: Times, at: datetime) -> None:
    """Count the time of something by another severity: what was spent stays, the rest is that of the new one."""
    if (old.calendar, old.limit(row)) == (new.calendar, new.limit(row)):
        return
    stop(row, old, at)
    start(row, new, at)


def is_paused(row: Clocked, case: Case) -> bool:
    """Tell whether the time of something stands still, by itself or with its case."""
    return case.paused_at is not None or (isinstance(row, Task) and row.paused_at is not None)


def hand_over(task: Task, times: Times, at: datetime) -> None:
    """Let the ladder begin again for a new owner: rungs count from now if the task is late already."""
    task.acknowledged_at = task.acknowledged_by_id = task.acknowledged_via = None
    task.ladder_at = at
    reach(task, times, at, told=True)


def steps(task: Task, times: Times) -> list[ladder.Step]:
    """Return the steps of a task's ladder; none while its time stands still."""
    clock = times.clock(task)
    if clock is None or task.due_at is None or is_paused(task, times.case):
        return []
    planned = times.sop.task(task.key)
    try:
        return ladder.steps(times.sop, planned, clock, times.calendar, task.due_at, task.ladder_at)
    except NoWorkingTime as error:  # a calendar that was changed since must not put anything off
        said = "CASE-%s, task %s: its ladder counts around the clock, as %s.\n  next: correct %s in calendars.yaml"
        log.warning(said, times.case.number, task.key, error, times.sop.hours)
        return ladder.steps(times.sop, planned, clock, ALWAYS, task.due_at, task.ladder_at)


def _begin_ladder(task: Task, times: Times, at: datetime) -> None:
    task.ladder_at = None
    reach(task, times, at, told=False)


def reach(task: Task, times: Times, at: datetime, *, told: bool) -> None:
    """Note which steps of the ladder are behind a task: those before now, and those of now if they are told."""
    all_steps = steps(task, times)
    task.rungs = sum(step.at < at or (told and step.at == at) for step in all_steps) or None
    wait_for_next(task, all_steps)


def wait_for_next(task: Task, all_steps: list[ladder.Step]) -> None:
    """Note when the next step of the ladder comes; none does once somebody takes care of the task."""
    ahead = all_steps[task.rungs or 0 :] if task.acknowledged_at is None else []
    task.rung_at = ahead[0].at if ahead else None
