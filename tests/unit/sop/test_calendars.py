"""`calendars.yaml`: read as meant, and each mistake said with its line."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sop.calendars import load_calendars, loads_calendars
from sop.errors import SopRefused
from sop.loader import loads

HOW_TO = Path(__file__).parents[3] / "docs" / "howto" / "times.md"

OFFICE = """\
office:
  zone: Europe/Berlin
  hours:
    mon-thu: 08:00-12:00, 13:00-17:00
    fri: 08:00-14:00
  holidays: DE-BY
  closed: [2026-12-24]
shift:
  zone: UTC
  hours:
    mon-sun: 00:00-24:00
"""


def test_hours_holidays_and_closed_days_are_those_of_the_file():
    office = loads_calendars(OFFICE)["office"]
    thursday = datetime(2026, 1, 5, 15, 30, tzinfo=UTC)  # Monday before Epiphany, a holiday of Bavaria; 16:30 there
    assert office.after(thursday, timedelta(hours=1)) == datetime(2026, 1, 7, 7, 30, tzinfo=UTC)
    eve = datetime(2026, 12, 23, 15, 30, tzinfo=UTC)  # then: closed, two holidays, a weekend
    assert office.after(eve, timedelta(hours=1)) == datetime(2026, 12, 28, 7, 30, tzinfo=UTC)
    shift = loads_calendars(OFFICE)["shift"]
    assert shift.after(eve, timedelta(hours=1)) == eve + timedelta(hours=1)


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("Europe/Berlin", "Europe/Munich", 2, "no time zone"),
        ("  zone: Europe/Berlin\n", "", 1, "no time zone"),
        ("mon-thu", "mo-do", 3, "no day"),
        ("mon-thu", "thu-mon", 3, "backwards"),
        ("fri:", "wed:", 3, "twice"),
        ("08:00-14:00", "8-14", 3, "no span"),
        ("08:00-14:00", "22:00-06:00", 3, "ends before"),
        ("13:00-17:00", "11:00-17:00", 3, "in order"),
        ("DE-BY", "XX", 6, "not known"),
        ("DE-BY", "DE-XX", 6, "not known"),
        ("[2026-12-24]", "[24.12.2026]", 7, "2026-12-24"),
        ("[2026-12-24]", "2026-12-24", 7, "no list"),
        ("closed:", "close:", 7, "Did you mean 'closed'"),
        ("office:", "Office Hours:", 1, "not a calendar's name"),
    ],
)
def test_a_mistake_is_said_with_its_line(old: str, new: str, line: int, word: str):
    with pytest.raises(SopRefused) as refused:
        loads_calendars(OFFICE.replace(old, new, 1), "calendars.yaml")
    (problem,) = refused.value.problems
    assert (problem.line, problem.source) == (line, "calendars.yaml")
    assert word in f"{problem.message} {problem.next_step}"


def test_all_mistakes_are_said_at_once():
    with pytest.raises(SopRefused) as refused:
        loads_calendars(OFFICE.replace("Europe/Berlin", "X").replace("DE-BY", "XX").replace("mon-sun", "mon-son"))
    assert [problem.line for problem in refused.value.problems] == [2, 6, 10]


@pytest.mark.parametrize("text", ["", "[]", "office", "office:", "office: 8-17"])
def test_what_is_no_list_of_calendars_is_refused(text: str):
    with pytest.raises(SopRefused):
        loads_calendars(text)


def test_the_examples_of_the_how_to_can_be_used():
    sop, deadlines, calendars = re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL)
    (calendar,) = loads_calendars(calendars).values()
    loaded = loads(f"sop: lost\nversion: 1\ntitle: A laptop is gone\n{sop}").sop
    assert loaded.hours == "office"
    asks = "form: {aware_at: {type: datetime}}"
    tasks = f"tasks: [{{key: confirm, title: C, {asks}}}, {{key: send-regulator, title: S}}]"
    text = f"sop: lost\nversion: 1\ntitle: L\n{deadlines}stages: [{{key: s, title: S, {tasks}}}]\n"
    assert [one.after.days for one in loads(text).sop.deadlines] == [1, 3, 30]
    afternoon = datetime(2026, 11, 26, 15, tzinfo=UTC)  # Thursday, 16:00 there: as the text below the example says
    assert calendar.after(afternoon, timedelta(hours=8)) == datetime(2026, 11, 30, 8, tzinfo=UTC)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SopRefused, match=r"calendars\.yaml"):
        load_calendars(tmp_path / "calendars.yaml")


def test_the_ladder_of_the_how_to_can_be_used():
    (text,) = re.findall(r"```yaml\n(.*?)```", HOW_TO.with_name("escalate.md").read_text("utf-8"), re.DOTALL)
    sop = loads(
        f"sop: a\nversion: 1\ntitle: A\n{text}stages: [{{key: s, title: S, tasks: [{{key: t, title: T}}]}}]\n"
    ).sop
    assert [rung.to for rung in sop.escalation] == ["owner", "backup", "owner.manager", "on-call"]
