"""Ninety days of tasks that get late, and when each step of their ladders comes: a model that counts minutes.

It shares nothing with the product: it lists every minute in which people work, and counts along that list.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

DAYS = 90
DAY = 24 * 60
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
FIRST_OWNER = "ada"


@dataclass(frozen=True)
class Period:
    """Ninety days, with a day on which nobody looks; `holidays` are those of the office beyond weekends."""

    start: datetime
    outage: int
    holidays: frozenset[date]

    @property
    def without(self) -> tuple[int, int]:
        """The minutes of the day on which nobody looks."""
        return self.outage * DAY, (self.outage + 1) * DAY

    def wall(self, minute: float) -> datetime:
        """What the clock on the wall says."""
        return (self.start + timedelta(minutes=minute)).astimezone(ZONE)


SPRING = Period(
    datetime(2028, 1, 17, 6, 0, tzinfo=UTC),
    43,  # 29 February
    frozenset({date(2028, 3, 1), date(2028, 4, 14), date(2028, 4, 17), date(2028, 5, 1)}),
)
"""A leap day, the beginning of summer time (26 March) and Easter; the first of March is closed too."""
AUTUMN = Period(datetime(2027, 9, 6, 6, 0, tzinfo=UTC), 55, frozenset({date(2027, 11, 1)}))
"""The end of summer time (31 October), on which nobody looks, and All Saints'."""

Happens = tuple[int, str, str]
"""A minute, what happens in it, and to whom or to what."""
ORDER = ("open", "severity", "back", "away", "pause", "resume", "hand over", "acknowledge", "close")
"""What comes first of what happens in the same minute."""


def in_order(happens: Iterable[Happens]) -> list[Happens]:
    """What happens, the earliest first."""
    return sorted(happens, key=lambda one: (one[0], ORDER.index(one[1])))


@dataclass(frozen=True)
class Plan:
    """What happens to one task; `sla` and `critical` are how many minutes it may take, by severity of its case."""

    key: str
    opened: int
    sla: int
    critical: int
    happens: tuple[Happens, ...]
    closed: int


@dataclass(frozen=True)
class CasePlan:
    """A case: by which calendar it runs, its severity at first and later, and its tasks."""

    name: str
    severity: str
    changes: tuple[Happens, ...]
    plans: list[Plan] = field(repr=False)


def working_minutes(period: Period, name: str, *, critical: bool) -> list[int]:
    """Every minute from the start on in which people work."""
    found = []
    for minute in range((DAYS + 30) * DAY):
        wall = period.wall(minute)
        office = wall.weekday() < 5 and wall.hour in {8, 9, 10, 11, 13, 14, 15, 16}
        night = wall.hour < 6 or wall.hour >= 22
        open_ = office and wall.date() not in period.holidays if name == "office" else night
        if critical or open_:
            found.append(minute)
    return found


def case_plans(random: Random, period: Period, number: int, in_outage: int) -> list[CasePlan]:
    """What happens to all cases; `in_outage` tasks more get late while nobody looks."""
    made = []
    for name, severity in (("office", "low"), ("night", "low"), ("office", "critical")):
        others = ("high", "critical", "low") if severity == "low" else ("low", "critical")
        minutes = sorted(random.sample(range(DAYS * DAY), 30))
        changes = tuple((at, "severity", random.choice(others)) for at in minutes)
        made.append(CasePlan(name, severity, changes, [_plan(random, period, f"t{n}") for n in range(number)]))
    for first in range(0, in_outage, 1000):
        keys = [f"t{n}" for n in range(min(1000, in_outage - first))]
        made.append(CasePlan("office", "critical", (), [_in_outage(random, period, key) for key in keys]))
    return made


def _plan(random: Random, period: Period, key: str) -> Plan:
    # A third opens around the outage.
    first, last = random.choice([(0, DAYS - 14), (0, DAYS - 14), (period.outage - 1, period.outage + 1)])
    opened = random.randrange(first * DAY, last * DAY)
    closed = opened + random.randrange(200, 14 * DAY)
    happens: list[Happens] = []
    if random.random() < 0.3:
        pause = opened + random.randrange(1, 1500)
        happens += [(pause, "pause", ""), (pause + random.randrange(1, 4000), "resume", "")]
    for _ in range(random.choice((0, 0, 1, 2))):
        happens.append((opened + random.randrange(1, 6000), "hand over", random.choice(("ada", "bob", "max"))))
    if random.random() < 0.3:
        happens.append((opened + random.randrange(1, 6000), "acknowledge", ""))
    sla = random.choice([20, 60, 240, 480, 1440])
    return Plan(key, opened, sla, random.choice([20, 40, 120]), tuple(h for h in happens if h[0] < closed), closed)


def _in_outage(random: Random, period: Period, key: str) -> Plan:
    start, _ = period.without
    return Plan(key, start - random.randrange(1, 20), 60, random.randrange(40, DAY - 60, 4), (), start + DAY + 120)


@dataclass(frozen=True)
class Step:
    """A step of a ladder: when it comes, its number, when it is too late to take it, and whose the task is then."""

    at: int
    number: int
    until: int
    owner: str


Work = Mapping[bool, list[int]]
"""The minutes in which people work: for critical cases, and for others."""


def moments(plan: Plan, case: CasePlan, work: Work) -> list[Step]:
    """When each step of the ladder of a task comes."""
    happens = sorted(
        [*plan.happens, *case.changes, (plan.closed, "close", "")], key=lambda h: (h[0], ORDER.index(h[1]))
    )
    severity = next((what for at, _, what in reversed(case.changes) if at <= plan.opened), case.severity)
    clock = _Clock(plan, work, severity == "critical")
    found, since, steps = [], plan.opened, clock.ahead(plan.opened, told=False)
    for at, what, who in (h for h in happens if h[0] > plan.opened):
        changed = clock.happen(at, what, who)
        if changed is None:
            continue
        found += [Step(step, number, at, changed) for step, number in steps if since <= step < at]
        if at >= plan.closed:
            break
        since, steps = at, clock.ahead(at, told=what == "hand over")
    return found


class _Clock:
    """The time of one task and its ladder."""

    def __init__(self, plan: Plan, work: Work, critical: bool) -> None:
        self._plan, self._work, self._critical = plan, work, critical
        self._since, self._spent, self._moved = plan.opened, 0, None
        self._paused, self._acknowledged, self._owner = False, False, FIRST_OWNER
        self._due = self._when(self._limit)

    @property
    def _limit(self) -> int:
        return self._plan.critical if self._critical else self._plan.sla

    def _when(self, minutes: int) -> int:
        return _after(self._work[self._critical], self._since, minutes - self._spent)

    def happen(self, at: int, what: str, who: str) -> str | None:
        """Note it; return whose the task was until then, or None where nothing changes for its ladder."""
        owner = self._owner
        if what == "severity":
            if (who == "critical") == self._critical:
                return None
            self._stop(at)
            self._critical = who == "critical"
            self._start(at)
        elif what == "pause":
            self._stop(at)
            self._paused = True
        elif what == "resume":
            self._paused = False
            self._start(at)
        elif what == "hand over":
            if who == owner:
                return None
            self._owner, self._moved, self._acknowledged = who, at, False
        elif what == "acknowledge":
            self._acknowledged = True
        return owner

    def _stop(self, at: int) -> None:
        if not self._paused:
            work = self._work[self._critical]
            self._spent += bisect_left(work, at) - bisect_left(work, self._since)

    def _start(self, at: int) -> None:
        self._moved = None
        if not self._paused:
            self._since = at
            self._due = self._when(self._limit)

    def ahead(self, at: int, *, told: bool) -> list[tuple[int, int]]:
        """The steps that come from now on; with `told`, the one that is right now is told already."""
        if self._paused or self._acknowledged:
            return []
        return [step for step in self._steps() if step[0] > at or (step[0] == at and not told)]

    def _steps(self) -> Iterator[tuple[int, int]]:
        warn = self._when(self._limit * 3 // 4)
        if warn < self._due:
            yield warn, 0
        base = self._due if self._moved is None else max(self._due, self._moved)
        for number, more in enumerate(_AFTER, 1):
            yield _after(self._work[self._critical], base, more), number


def _after(work: Sequence[int], start: int, minutes: int) -> int:
    """The minute at whose beginning so many working minutes are over."""
    return start if minutes <= 0 else work[bisect_left(work, start) + minutes - 1] + 1
