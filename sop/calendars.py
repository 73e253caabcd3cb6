"""`calendars.yaml`: when people work, by names that SOPs use in `hours`.

office:
  zone: Europe/Berlin
  hours:
    mon-thu: 08:00-12:00, 13:00-17:00
    fri: 08:00-14:00
  holidays: DE-BY            # a country of ISO 3166, with a part of it
  closed: [2026-12-24]       # further days on which nobody works
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path as File
from typing import Final
from zoneinfo import ZoneInfo

from sop.errors import Problem, SopRefused
from sop.model import KEY_PATTERN
from sop.wording import did_you_mean, listed, shown
from sop.worktime import MIDNIGHT, Calendar, Span
from sop.yaml_reader import Data, Document, content_of, read

FILE: Final = "calendars.yaml"
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FIELDS: Final = ("zone", "hours", "holidays", "closed")
_DAYS: Final = re.compile(rf"({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))?")
_SPAN: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)")


class _Wrong(Exception):
    """A field has a value that cannot be used."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.next_step = next_step


def calendars_in(folders: Iterable[File | str]) -> tuple[dict[str, Calendar], list[Problem]]:
    """Return the calendars of these folders, the last of a name counting, and what is wrong with the files."""
    found: dict[str, Calendar] = {}
    problems: list[Problem] = []
    for folder in dict.fromkeys(map(File, folders)):
        try:
            found |= load_calendars(folder / FILE) if (folder / FILE).exists() else {}
        except SopRefused as refused:
            problems += refused.problems
    return found, problems


def load_calendars(path: File | str) -> dict[str, Calendar]:
    """Load the calendars of a file, by name.

    Raises:
        SopRefused: The file cannot be read or is something else; with everything that is wrong.
    """
    return loads_calendars(content_of(path).decode("utf-8", "replace"), str(path))


def loads_calendars(text: str, source: str = "<calendars>") -> dict[str, Calendar]:
    """Load calendars from a text; see `load_calendars`."""
    document = read(text.removeprefix("\ufeff"), source)
    problems = list(document.problems)
    if not isinstance(document.data, dict):
        problems.append(Problem(source, 1, "There are no calendars here.", "Begin with a name and its zone and hours."))
        raise SopRefused(problems)
    found = {name: _calendar(document, name, fields, problems) for name, fields in document.data.items()}
    if problems:
        raise SopRefused(sorted(problems))
    return {name: calendar for name, calendar in found.items() if calendar is not None}


def _calendar(document: Document, name: str, fields: Data, problems: list[Problem]) -> Calendar | None:
    def wrong(message: str, next_step: str, *field: str) -> None:
        if not document.is_spoiled((name, *field)):
            problems.append(Problem(document.source, document.line((name, *field)), message, next_step))

    if not re.fullmatch(KEY_PATTERN, name):
        wrong(f"{shown(name)!r} is not a calendar's name.", "Use small letters, digits, - and _: office.")
    if not isinstance(fields, dict):
        wrong(f"The calendar {name!r} has no fields.", f"Give it {listed(_FIELDS[:2])}.")
        return None
    for field in fields.keys() - set(_FIELDS):
        wrong(f"A calendar has no field {shown(field)!r}.", did_you_mean(field, _FIELDS, "fields"), field)
    made: dict[str, object] = {}
    for field, make in _MAKERS.items():
        try:
            made[field] = make(fields.get(field))
        except _Wrong as error:
            wrong(str(error), error.next_step, field)
    if len(made) < len(_MAKERS):
        return None
    return _assembled(**made)  # type: ignore[arg-type] # by the types of the makers


def _assembled(
    zone: ZoneInfo,
    hours: Mapping[int, tuple[Span, ...]],
    holidays: Callable[[date], bool],
    closed: frozenset[date],
) -> Calendar:
    return Calendar(zone, hours, lambda day: day in closed or holidays(day))


def _zone(value: Data) -> ZoneInfo:
    try:
        return ZoneInfo(value if isinstance(value, str) else "")
    except (ValueError, OSError, KeyError):
        raise _Wrong(f"{shown(value)!r} is no time zone.", "Write it like `zone: Europe/Berlin`.") from None


def _hours(value: Data) -> dict[int, tuple[Span, ...]]:
    step = "Write lines like `mon-fri: 08:00-12:00, 13:00-17:00`."
    if not isinstance(value, dict) or not value:
        raise _Wrong("There are no hours.", step)
    hours: dict[int, tuple[Span, ...]] = {}
    for days, spans in value.items():
        for day in _weekdays(days):
            if day in hours:
                raise _Wrong(f"{DAYS[day]} is there twice.", "Name each day once.")
            hours[day] = tuple(_spans(spans, step))
    return hours


def _weekdays(text: str) -> range:
    if (found := _DAYS.fullmatch(text)) is None:
        raise _Wrong(f"{shown(text)!r} is no day.", f"Write {listed(DAYS, 'or')}, or two of them like mon-fri.")
    first, last = DAYS.index(found[1]), DAYS.index(found[2] or found[1])
    if last < first:
        raise _Wrong(f"{text} runs backwards.", "The week begins with mon: write two lines.")
    return range(first, last + 1)


def _spans(value: Data, step: str) -> Iterator[Span]:
    last = -1
    for text in str(value).split(","):
        if (found := _SPAN.fullmatch(text.strip())) is None:
            raise _Wrong(f"{shown(text.strip())!r} is no span of hours.", step)
        begin = int(found[1]) * 60 + int(found[2])
        end = int(found[3]) * 60 + int(found[4]) if found[3] else MIDNIGHT
        if end <= begin:
            raise _Wrong(f"{text.strip()} ends before it begins.", "Work over midnight is two spans, on two days.")
        if begin <= last:
            raise _Wrong(f"{text.strip()} begins before the span in front of it ends.", "Write spans in order.")
        last = end
        yield begin, end


def _holidays(value: Data) -> Callable[[date], bool]:
    if value is None:
        return lambda _: False
    import holidays  # noqa: PLC0415 - costs a tenth of a second

    country, _, part = (value if isinstance(value, str) else "").partition("-")
    try:
        return holidays.country_holidays(country, subdiv=part or None).__contains__
    except NotImplementedError:
        step = "Write a country of ISO 3166, such as DE, or a part of it, such as DE-BY."
        raise _Wrong(f"The holidays of {shown(value)!r} are not known.", step) from None


def _closed(value: Data) -> frozenset[date]:
    try:
        if value is None or isinstance(value, list):
            return frozenset(date.fromisoformat(str(day)) for day in value or ())
    except ValueError as error:
        raise _Wrong(f"{error}.", "Write days like 2026-12-24.") from None
    raise _Wrong(f"{shown(value)!r} is no list of days.", "Write `closed: [2026-12-24, 2026-12-31]`.")


_MAKERS: Final[dict[str, Callable[[Data], object]]] = {
    "zone": _zone,
    "hours": _hours,
    "holidays": _holidays,
    "closed": _closed,
}
