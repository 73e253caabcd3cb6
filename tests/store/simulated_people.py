"""To whom it should be told that tasks are late: who is on call, who is away, and who stands in. Part of the model."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from tests.store.simulated import DAY, DAYS, Period, Step

MANAGER, CASE_OWNER = "mia", "eve"
# Who is on call: from Monday 9:00 to Sunday 20:00 on the wall, taking turns; then nobody is.
_TURNS = ("bob", "max")


def roster(period: Period) -> str:
    """The calendar of who is on call."""
    monday = period.wall(0).date()
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//simulated//"]
    for number, name in enumerate(_TURNS):
        first = monday + timedelta(weeks=number)
        lines += [
            "BEGIN:VEVENT",
            f"UID:{name}",
            f"DTSTART;TZID=Europe/Berlin:{first:%Y%m%d}T090000",
            f"DTEND;TZID=Europe/Berlin:{first + timedelta(days=6):%Y%m%d}T200000",
            "RRULE:FREQ=WEEKLY;INTERVAL=2",
            f"ATTENDEE:mailto:{name}@example.org",
            "END:VEVENT",
        ]
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


def on_call(period: Period, minute: float) -> str | None:
    """Who is on call at a moment."""
    wall = period.wall(minute)
    if (wall.weekday() == 6 and wall.hour >= 20) or (wall.weekday() == 0 and wall.hour < 9):
        return None
    return _TURNS[(wall.date() - period.wall(0).date()).days // 7 % 2]


@dataclass(frozen=True)
class Away:
    """Somebody is out of office, from one minute to another, and somebody else stands in."""

    who: str
    start: int
    end: int
    deputy: str | None


def absences(random: Random) -> list[Away]:
    """Who is away when; those who stand in are away at times too, but for Max."""
    made = []
    for who, deputies in {"ada": ("bob", "max", None), "bob": ("max",), "mia": ("max", None)}.items():
        at = random.randrange(3 * DAY)
        while at < DAYS * DAY:
            end = at + random.randrange(60, 12 * DAY)
            made.append(Away(who, at, end, random.choice(deputies)))
            at = end + random.randrange(60, 8 * DAY)
    return made


@dataclass(frozen=True, order=True)
class Told:
    """What is told: at which second, which step, the rungs before it that nobody took, to whom, and who hears of it."""

    second: int
    number: int
    missed: tuple[int, ...]
    to: str | None
    heard: str | None


def told(steps: Iterable[Step], looks: list[float], period: Period, out: list[Away]) -> list[Told]:
    """What is told, if somebody looks at these moments: the last step that has come, with the rungs before."""
    at: dict[float, list[Step]] = {}
    for step in steps:
        look = looks[bisect_left(looks, step.at)]
        if look < step.until:
            at.setdefault(look, []).append(step)
    found = []
    for look, come in sorted(at.items(), key=lambda one: one[0]):
        *before, last = come
        to = _to(last, look, period, out)
        missed = tuple(step.number for step in before if step.number)
        found.append(Told(round(look * 60), last.number, missed, to, _heard(to, look, out)))
    return found


def _to(step: Step, look: float, period: Period, out: list[Away]) -> str:
    if step.number == 2:
        away = _away(step.owner, look, out)
        return (away.deputy if away else None) or CASE_OWNER
    if step.number == 3:
        return MANAGER
    return (on_call(period, look) or CASE_OWNER) if step.number == 4 else step.owner


def _away(who: str, look: float, out: list[Away]) -> Away | None:
    return next((one for one in out if one.who == who and one.start <= look < one.end), None)


def _heard(who: str, look: float, out: list[Away]) -> str:
    """To whom it is promised: whoever stands in, to the end. Whom no message reaches is the outbox's concern."""
    now = who
    while away := _away(now, look, out):
        if away.deputy is None:
            return who
        now = away.deputy
    return now
