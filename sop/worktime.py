"""Working time: how much of it lies between two moments, and when so much of it is over.

Pure arithmetic on aware moments. Hours are those of the wall clock in the calendar's zone, so a working day that the
clock makes longer or shorter is longer or shorter here too. A time of day that the clock skips counts as one hour
later (as the rules before the change say); of one that comes twice, work begins at the first and ends at the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

Span = tuple[int, int]
"""Minutes after midnight: from, and to (at most 1440)."""

MIDNIGHT: Final = 24 * 60
_DAY: Final = timedelta(days=1)
_FAR: Final = 400
"""Days without work after which nobody is expected back; a calendar has fewer holidays in a row."""


class NoWorkingTime(ValueError):
    """A calendar never opens."""


@dataclass(frozen=True)
class Calendar:
    """When people work: hours by day of the week (0 is Monday), in a zone, except on some days.

    Attributes:
        zone: Where the hours are read from the wall.
        hours: For each day of the week its spans, in order and apart from each other.
        is_holiday: Says whether a date is one on which nobody works.
    """

    zone: ZoneInfo
    hours: Mapping[int, tuple[Span, ...]]
    is_holiday: Callable[[date], bool] = field(default=lambda _: False)

    def after(self, start: datetime, work: timedelta) -> datetime:
        """Return when so much working time is over; `start` itself when it is none.

        Raises:
            NoWorkingTime: The calendar does not open for more than a year.
        """
        rest = work
        if rest <= timedelta():
            return start
        for opens, closes in self._from(start):
            if closes - opens >= rest:
                return opens + rest
            rest -= closes - opens
        raise NoWorkingTime(f"nobody works within {_FAR} days after {start:%Y-%m-%d}")

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Return how much working time lies between two moments; none when the second is not later."""
        worked = timedelta()
        for opens, closes in self._from(start):
            if opens >= end:
                break
            worked += min(closes, end) - opens
        return worked

    def _from(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the spans in which people work from a moment on, in UTC, until the calendar stays closed for long."""
        start = start.astimezone(UTC)
        day, idle = start.astimezone(self.zone).date() - _DAY, 0
        while idle < _FAR:
            idle += 1
            for opens, closes in self._spans(day):
                if closes > max(start, opens):
                    idle = 0
                    yield max(start, opens), closes
            day += _DAY

    def _spans(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        if not self.is_holiday(day):
            for opens, closes in self.hours.get(day.weekday(), ()):
                yield self._moment(day, opens, fold=0), self._moment(day, closes, fold=1)

    def _moment(self, day: date, minute: int, fold: int) -> datetime:
        midnight = datetime.combine(day, time(), self.zone)
        wall = (midnight + timedelta(minutes=minute)).replace(fold=fold)  # on the wall: the zone's rules come next
        if wall.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) != wall.replace(tzinfo=None):
            wall = wall.replace(fold=0)  # the clock skips it
        return wall.astimezone(UTC)


ALWAYS: Final = Calendar(ZoneInfo("UTC"), MappingProxyType(dict.fromkeys(range(7), ((0, MIDNIGHT),))))
"""Around the clock, every day."""
