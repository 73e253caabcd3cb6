"""Clocks, deadlines, absences and who is on call, at the command line."""

from datetime import datetime

import pytest

CALENDAR = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20260301T080000Z\r\n"
    "DTEND:20260301T200000Z\r\nSUMMARY:dana\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.fixture
def breach(casewright, filled):
    return casewright("case", "open", "--sop", "lost-device", "--title", "A laptop is gone", "--json").json["number"]


def test_a_task_is_acknowledged_once(casewright, asked):
    asked("confirm-source")
    assert casewright("task", "ack", "1/confirm-source").out == "1/confirm-source: you take care of it\n"
    assert "takes care of it already" in casewright("task", "ack", "1/confirm-source").out
    assert "Acknowledged" in casewright("task", "show", "1/confirm-source").out


def test_clocks_of_a_task_and_a_case_stand_still_with_a_reason(casewright, asked):
    asked("confirm-source")
    assert "stands still" in casewright("task", "pause", "1/confirm-source", "--reason", "the provider answers").out
    assert "the provider answers" in casewright("task", "show", "1/confirm-source").out
    assert "goes on" in casewright("task", "resume", "1/confirm-source").out
    assert "stand still" in casewright("case", "pause", "1", "--reason", "the police has it").out
    assert "the police has it" in casewright("case", "show", "1").out
    assert "go on" in casewright("case", "resume", "1").out
    assert casewright("case", "pause", "1", "--reason", " ").code == 1
    said = casewright("case", "timeline", "1").out
    assert "the time of the case stands still" in said


def test_a_deadline_is_shown_moved_and_met(casewright, breach):
    shown = casewright("case", "show", breach, "--json").json["times"]["deadlines"]
    assert [(one["name"], one["state"]) for one in shown] == [("GDPR Art. 33 notice", "running")]
    name = "gdpr art. 33 notice"
    moved = casewright("case", "deadline", "move", breach, name, "--from", "2026-03-01T23:30:00")
    assert moved.out == "GDPR Art. 33 notice of CASE-1 counts from 2026-03-01 23:30Z and ends 2026-03-04 23:30Z\n"
    met = casewright(
        "case", "deadline", "meet", breach, name, "--how", "portal, ref 4711", "--at", "2026-03-02T08:00:00"
    )
    assert met.out == "GDPR Art. 33 notice of CASE-1 is met: 2026-03-02 08:00Z, due 2026-03-04 23:30Z\n"
    again = casewright("case", "deadline", "meet", breach, name, "--how", "again")
    assert (again.code, "was met at 2026-03-02 08:00 UTC" in again.err) == (1, True)
    assert "portal, ref 4711" in casewright("case", "show", breach).out


def test_times_are_shown_for_a_case_and_for_all(casewright, asked):
    asked("confirm-source")
    casewright("case", "cancel", "1", "--reason", "a mistake")
    of_case = casewright("case", "times", "1", "--json").json["times"]
    assert [one["name"] for one in of_case] == [None, "confirm-source"]
    rows = casewright("times", "--json").json["times"]
    assert [(row["what"], row["sop"], row["count"], row["closed"]) for row in rows] == [
        ("cases", "ssh-bruteforce", 1, 1),
        ("tasks", "ssh-bruteforce", 1, 1),
    ]
    assert casewright("times", "--since", "2999-01-01").out == "no such cases\n"


def test_somebody_is_away_and_back(casewright, filled):
    said = casewright("person", "away", "dana", "--until", "2999-01-02", "--deputy", "tomas")
    assert said.out.endswith("until 2999-01-02 00:00Z; tomas stands in\n")
    assert casewright("person", "away", "dana", "--deputy", "dana").code == 1
    assert casewright("person", "back", "dana").out == "dana is back\n"
    assert casewright("person", "back", "dana").out == "dana was not away\n"


def test_who_is_on_call(casewright, filled, tmp_path, monkeypatch):
    none = casewright("on-call")
    assert (none.code, "CASEWRIGHT_ON_CALL" in none.err) == (1, True)
    file = tmp_path / "on-call.ics"
    file.write_text(CALENDAR, newline="")
    monkeypatch.setenv("CASEWRIGHT_ON_CALL", str(file))
    said = casewright("on-call", "--at", "2026-03-01T12:00:00", "--json").json
    assert (said["on_call"], said["unknown"]) == (["dana"], [])
    assert datetime.fromisoformat(said["at"]).isoformat() == "2026-03-01T12:00:00+00:00"
    assert casewright("on-call", "--at", "2026-03-02T12:00:00").out.startswith("nobody on call at 2026-03-02 12:00Z")
    file.write_text(CALENDAR.replace("dana", "stranger"), newline="")
    assert "'stranger', who is not on record" in casewright("on-call", "--at", "2026-03-01T12:00:00").err
    file.write_text("nonsense")
    broken = casewright("on-call")
    assert (broken.code, "is no calendar" in broken.err) == (1, True)
