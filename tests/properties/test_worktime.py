"""Working time: what `after` promises, `between` measures, in every zone and across every change of the clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sop.worktime import ALWAYS, MIDNIGHT, Calendar, NoWorkingTime

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    [BERLIN, *map(ZoneInfo, ("UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"))]
)
MOMENTS = st.datetimes(datetime(2023, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
WORK = st.integers(1, 60 * 24 * 40).map(lambda minutes: timedelta(minutes=minutes))
OFFICE = ((8 * 60, 12 * 60), (13 * 60, 17 * 60))


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    def spans() -> tuple[tuple[int, int], ...]:
        ends = sorted(draw(st.sets(st.integers(0, MIDNIGHT // 30), max_size=4)))
        return tuple((a * 30, b * 30) for a, b in zip(ends[::2], ends[1::2], strict=False))

    hours = {day: spans() for day in range(7)} | {2: ((9 * 60, 17 * 60),)}  # open once a week at least
    closed = draw(st.frozensets(st.dates(date(2023, 1, 1), date(2029, 12, 31)), max_size=20))
    return Calendar(draw(ZONES), hours, closed.__contains__)


@given(calendars(), MOMENTS, WORK)
def test_so_much_work_lies_between_now_and_when_it_is_over(calendar: Calendar, start: datetime, work: timedelta):
    end = calendar.after(start, work)
    assert end > start
    assert calendar.between(start, end) == work
    assert calendar.between(start, end - timedelta(seconds=1)) < work  # not a moment later than it has to be


@given(calendars(), MOMENTS, WORK, WORK)
def test_working_in_two_parts_is_working_at_once(calendar: Calendar, start: datetime, one: timedelta, two: timedelta):
    assert calendar.after(calendar.after(start, one), two) == calendar.after(start, one + two)


@given(
    calendars(), MOMENTS, st.timedeltas(timedelta(), timedelta(days=60)), st.timedeltas(timedelta(), timedelta(days=60))
)
def test_parts_of_a_span_add_up(calendar: Calendar, start: datetime, one: timedelta, two: timedelta):
    middle, end = start + one, start + one + two
    assert calendar.between(start, middle) + calendar.between(middle, end) == calendar.between(start, end)
    assert calendar.between(start, end) <= one + two
    assert calendar.between(end, start) == timedelta()


@given(MOMENTS, WORK)
def test_around_the_clock_working_time_is_time(start: datetime, work: timedelta):
    assert ALWAYS.after(start, work) == start + work
    assert ALWAYS.between(start, start + work) == work


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


CASES = [
    ("the same morning", "2026-03-02T09:00", timedelta(hours=2), "2026-03-02T11:00"),
    ("over lunch", "2026-03-02T11:00", timedelta(hours=2), "2026-03-02T14:00"),
    ("over night", "2026-03-02T16:00", timedelta(hours=2), "2026-03-03T09:00"),
    ("over the weekend", "2026-03-06T16:30", timedelta(hours=1), "2026-03-09T08:30"),
    ("begun at night", "2026-03-02T23:00", timedelta(hours=1), "2026-03-03T09:00"),
    ("to the end of the day, not to the next morning", "2026-03-02T16:00", timedelta(hours=1), "2026-03-02T17:00"),
    ("over a holiday", "2026-04-30T16:00", timedelta(hours=2), "2026-05-04T09:00"),
    ("over the leap day", "2028-02-28T16:00", timedelta(hours=9), "2028-02-29T17:00"),
]


@pytest.mark.parametrize(("start", "work", "end"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_office_hours(start: str, work: timedelta, end: str):
    hours = dict.fromkeys(range(5), OFFICE)
    calendar = Calendar(BERLIN, hours, {date(2026, 5, 1)}.__contains__)
    assert calendar.after(at(start), work) == at(end)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)], ids=["plain", "spring", "autumn"]
)
def test_a_day_is_as_long_as_the_clock_makes_it(day: str, hours: int):
    whole = Calendar(BERLIN, dict.fromkeys(range(7), ((0, MIDNIGHT),)))
    midnight = at(f"{day}T00:00")
    assert whole.between(midnight, at(f"{day}T00:00") + timedelta(days=1)) == timedelta(hours=hours)


@pytest.mark.parametrize(("day", "minutes"), [("2026-03-29", 60), ("2026-10-25", 180), ("2026-10-24", 120)])
def test_hours_that_the_clock_skips_or_repeats(day: str, minutes: int):
    night = Calendar(BERLIN, dict.fromkeys(range(7), ((60, 180),)))  # 01:00 to 03:00
    assert night.between(at(f"{day}T00:00"), at(f"{day}T12:00")) == timedelta(minutes=minutes)


def test_a_calendar_that_never_opens_is_said_to():
    closed = Calendar(BERLIN, dict.fromkeys(range(7), OFFICE), lambda _: True)
    with pytest.raises(NoWorkingTime, match="nobody works"):
        closed.after(at("2026-03-02T09:00"), timedelta(hours=1))
