"""Ninety days of tasks that get late, and what should be told of them: a model of its own, that counts minutes.

It shares nothing with the product: it lists every minute in which people work, and counts along that list.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

START = datetime(2028, 1, 17, 6, 0, tzinfo=UTC)
"""From here 90 days hold a 29 February, the beginning of summer time (26 March) and Good Friday."""
DAYS = 90
ZONE = ZoneInfo("Europe/Berlin")
CALENDARS = """\
office:
  zone: Europe/Berlin
  hours: {mon-fri: "08:00-12:00, 13:00-17:00"}
  holidays: DE-BY
  closed: [2028-03-01]
night:
  zone: Europe/Berlin
  hours: {mon-sun: "00:00-06:00, 22:00-24:00"}
"""
_CLOSED = {date(2028, 3, 1), date(2028, 4, 14), date(2028, 4, 17), date(2028, 5, 1)}
_AFTER = (0, 15, 30, 60)
SOP = """\
sop: {name}
version: 1
title: Simulated
owner: user:eve
hours: {name}
warn: 25%
escalation:
  - {{after: 0, to: owner}}
  - {{after: 15m, to: backup}}
  - {{after: 30m, to: owner.manager}}
  - {{after: 1h, to: on-call}}
stages:
"""


@dataclass(frozen=True)
class Plan:
    """What happens to one task; times in minutes from START, None where it does not happen."""

    key: str
    opened: int
    sla: int
    paused: tuple[int, int] | None
    acknowledged: int | None
    closed: int


def working_minutes(name: str, *, critical: bool) -> list[int]:
    """Every minute from START on in which people work."""
    found = []
    for minute in range((DAYS + 30) * 24 * 60):
        wall = (START + timedelta(minutes=minute)).astimezone(ZONE)
        office = wall.weekday() < 5 and wall.hour in {8, 9, 10, 11, 13, 14, 15, 16} and wall.date() not in _CLOSED
        night = wall.hour < 6 or wall.hour >= 22
        if critical or (office if name == "office" else night):
            found.append(minute)
    return found


def plans(random: Random, number: int) -> list[Plan]:
    """What happens to each task, at random; pauses begin before the due time, and acknowledging comes when it does."""
    made = []
    for index in range(number):
        # A third opens around the outage.
        first, last = random.choice([(0, DAYS - 14), (0, DAYS - 14), (42, 44)])
        opened = random.randrange(first * 24 * 60, last * 24 * 60)
        pause = opened + random.randrange(1, 120)
        made.append(
            Plan(
                key=f"t{index}",
                opened=opened,
                sla=random.choice([20, 60, 240, 480, 1440]),
                paused=(pause, pause + random.randrange(1, 4000)) if random.random() < 0.25 else None,
                acknowledged=opened + random.randrange(6000) if random.random() < 0.25 else None,
                closed=opened + random.randrange(200, 14 * 24 * 60),
            )
        )
    return made


Step = tuple[int, int, int]


def moments(plan: Plan, work: list[int]) -> list[Step]:
    """When each step of the ladder comes, its number, and when it is too late to take it: as minutes."""
    end = min(one for one in (plan.closed, plan.acknowledged) if one is not None)
    if plan.paused is None:
        return [(at, number, end) for at, number in _steps(work, plan.opened, plan.sla, 0) if at < end]
    pause, resumed = plan.paused
    before = [(at, number, min(pause, end)) for at, number in _steps(work, plan.opened, plan.sla, 0)]
    spent = bisect_left(work, pause) - bisect_left(work, plan.opened)
    after = [(at, number, end) for at, number in _steps(work, resumed, plan.sla, spent)]
    return [step for step in [*before, *after] if step[0] < step[2]]


def _steps(work: list[int], since: int, sla: int, spent: int) -> list[tuple[int, int]]:
    due = _after(work, since, sla - spent)
    warn = _after(work, since, sla * 3 // 4 - spent)
    return [*([(warn, 0)] if warn < due else []), *((_after(work, due, more), n) for n, more in enumerate(_AFTER, 1))]


def _after(work: list[int], start: int, minutes: int) -> int:
    """The minute at whose beginning so many working minutes are over."""
    return start if minutes <= 0 else work[bisect_left(work, start) + minutes - 1] + 1


def told(steps: Iterable[Step], looks: list[float]) -> list[tuple[float, int, tuple[int, ...]]]:
    """What is told and when, if somebody looks at these moments: the last step that has come, with the rungs before."""
    at: dict[float, list[int]] = {}
    for minute, number, until in steps:
        look = looks[bisect_left(looks, minute)]
        if look < until:
            at.setdefault(look, []).append(number)
    return [(look, numbers[-1], tuple(n for n in numbers[:-1] if n)) for look, numbers in sorted(at.items())]
