"""A calendar of who is on call, read: who it names at a moment, and which of these people are on record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import icalendar
import recurring_ical_events  # type: ignore[import-untyped]
from sqlalchemy import func, or_, select

from case_store.errors import StoreError
from case_store.models import Person
from case_store.store import Tx

_MOST_ENTRIES: Final = 200
_INSTANT: Final = timedelta(microseconds=1)


class OnCallRefused(StoreError):
    """The calendar of who is on call cannot be used."""

    next_step = "look at CASEWRIGHT_ON_CALL: a file or an http(s) URL in the format iCalendar (.ics)"


@dataclass(frozen=True, slots=True)
class Entry:
    """An event of the calendar at a moment: what it is called, whom it names, and until when."""

    summary: str
    names: tuple[str, ...]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Roster:
    """A calendar that was read.

    Attributes:
        calendar: The calendar; None when none is set up or none could be read.
        source: Where it is from, as a person reads it.
        read_at: When that was fetched.
        problem: Why it is not, or not the newest; None when all is well.
    """

    calendar: icalendar.Calendar | None = field(default=None, repr=False)
    source: str = "no calendar is set up (CASEWRIGHT_ON_CALL)"
    read_at: datetime | None = None
    problem: str | None = None

    def at(self, moment: datetime) -> list[Entry]:
        """Return the events under way at a moment, in the order of their names.

        Raises:
            OnCallRefused: The calendar repeats in a way that cannot be worked out.
        """
        if self.calendar is None:
            return []
        try:
            found = recurring_ical_events.of(self.calendar).between(moment, moment + _INSTANT)
            entries = [_entry(event) for event in found[:_MOST_ENTRIES]]
        except Exception as error:
            raise OnCallRefused(f"the calendar {self.source} cannot be worked out: {str(error)[:200]}") from error
        return sorted(entries, key=lambda one: (one.summary, one.names))


def read(content: bytes, source: str, at: datetime) -> Roster:
    """Read a calendar.

    Raises:
        OnCallRefused: It is none.
    """
    try:
        calendar = icalendar.Calendar.from_ical(content)
    except (ValueError, KeyError, IndexError) as error:
        raise OnCallRefused(f"{source} is no calendar: {str(error)[:200] or type(error).__name__}") from error
    if calendar.name != "VCALENDAR":
        raise OnCallRefused(f"{source} is no calendar: it has no VCALENDAR")
    return Roster(calendar, source, at)


async def people(tx: Tx, roster: Roster, moment: datetime) -> tuple[list[Person], list[str]]:
    """Return who is on call at a moment, and the names in the calendar that are nobody on record.

    Raises:
        OnCallRefused: The calendar repeats in a way that cannot be worked out.
    """
    found: dict[str, Person] = {}
    unknown: list[str] = []
    for name in dict.fromkeys(name for entry in roster.at(moment) for name in entry.names):
        called = or_(Person.handle == name, func.lower(Person.email) == name.lower())
        person = await tx.session.scalar(select(Person).where(called, Person.active).limit(1))
        if person is None:
            unknown.append(name)
        else:
            found[person.id] = person
    return list(found.values()), unknown


def _entry(event: Any) -> Entry:  # noqa: ANN401 - the library's events have no common type
    summary = str(event.get("SUMMARY", "")).strip()[:200]
    end = event.end
    until = end if isinstance(end, datetime) and end.tzinfo else None
    names = tuple(_attendees(event)) or ((summary,) if summary else ())
    return Entry(summary, names, until)


def _attendees(event: Any) -> Iterator[str]:  # noqa: ANN401 - see above
    attendees = event.get("ATTENDEE", [])
    for one in attendees if isinstance(attendees, list) else [attendees]:
        name = str(one).strip()
        yield (name[len("mailto:") :] if name.lower().startswith("mailto:") else name)[:320]
