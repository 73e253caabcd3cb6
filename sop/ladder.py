"""A task's ladder: the warning before its due time and the rungs from then on, each with its moment.

Pure: what is known about the task's time in, moments out. Rungs count as the SLA counts: where that is working time, a
task that is late on Friday evening calls nobody out on Saturday.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sop.model import Sop, Task
from sop.times import Rung, lead_of
from sop.worktime import Calendar


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of something: since when it runs, how much of it was spent before, and how much there is in all."""

    since: datetime
    spent: timedelta
    limit: timedelta

    def due(self, calendar: Calendar) -> datetime:
        """Return when all of it is spent; the beginning of the running time when it is spent already."""
        return calendar.after(self.since, self.limit - self.spent)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a ladder: a rung with its number from 1 on, or the warning, which is number 0 and no rung."""

    at: datetime
    number: int
    rung: Rung | None


def ladder(sop: Sop, task: Task) -> tuple[Rung, ...]:
    """Return the rungs of a task: its own, or those of the SOP."""
    return sop.escalation if task.escalation is None else task.escalation


def steps(
    sop: Sop, task: Task, clock: Clock, calendar: Calendar, due: datetime, start: datetime | None = None
) -> list[Step]:
    """Return the steps of a task's ladder in their order.

    Args:
        sop: The SOP.
        task: The task as the SOP has it.
        clock: Its time.
        calendar: When people work on it.
        due: When it is due, as was said when its clock was started; a calendar that changes since does not move it.
        start: From when the rungs count, if that is later than its due time: the task was handed over.
    """
    base = due if start is None or start < due else start
    return [*_warning(task.warn or sop.warn, clock, calendar, due), *_rungs(ladder(sop, task), calendar, base)]


def _warning(warn: str | None, clock: Clock, calendar: Calendar, due: datetime) -> Iterator[Step]:
    if warn is None:
        return
    before = clock.limit - lead_of(warn, clock.limit) - clock.spent
    at = calendar.after(clock.since, before)
    if at < due:
        yield Step(at, 0, None)


def _rungs(rungs: Sequence[Rung], calendar: Calendar, base: datetime) -> Iterator[Step]:
    for number, rung in enumerate(rungs, 1):
        yield Step(calendar.after(base, rung.after), number, rung)
