"""A restricted case: to those who may not see it, it is not there, whatever they ask; who asks is on record."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from zipfile import ZipFile

import pytest

from case_store.audit import keys

SECRET = "Insider in the treasury"


@pytest.fixture
def restricted(filled, home, casewright, asked, in_store):
    """CASE-1, which only lena may see besides dana, who opened it; CASE-2 is for everybody."""
    keys.load_or_create(home / "keys")
    assert asked("confirm-source", title=SECRET) == 1
    assert casewright("case", "note", "1", f"{SECRET}: see the payments.").code == 0
    (home / "list.txt").write_text(SECRET)
    assert casewright("case", "attach", "1", home / "list.txt").code == 0
    assert casewright("case", "open", "--sop", "phishing", "--title", "Odd mail").code == 0
    said = casewright("case", "restrict", "1", "--to", "lena", "--reason", "An insider.")
    assert said.code == 0, said.err
    return casewright("case", "show", "1", "--json").json


def kinds(casewright, of: str = "1") -> list[str]:
    said = casewright("audit", "tail", "--case", of, "-n", "300", "--json", "--as", "dana")
    return [one["type"] for one in said.json["events"]]


BY_NUMBER = [
    ("case", "show"),
    ("case", "timeline"),
    ("case", "note", "{}", "words"),
    ("case", "close", "{}", "--resolution", "words"),
    ("case", "cancel", "{}", "--reason", "words"),
    ("case", "reopen", "{}", "--reason", "words"),
    ("case", "hold", "{}", "--reason", "words"),
    ("case", "release", "{}"),
    ("case", "restrict", "{}", "--to", "otto", "--reason", "words"),
    ("case", "unrestrict", "{}", "--reason", "words"),
    ("case", "redact", "{}", "x", "--basis", "words", "--yes"),
    ("audit", "tail", "--case", "{}"),
    ("audit", "replay", "--case", "{}"),
    ("audit", "export", "--case", "{}"),
    ("audit", "export", "--case", "{}", "--bundle", "out.zip"),
    ("notify", "preview", "assigned", "--case", "{}"),
    ("outbox", "list", "--case", "{}"),
    ("reply", "list", "--case", "{}"),
]


@pytest.mark.parametrize(
    "words", BY_NUMBER, ids=lambda words: "-".join(words[:2]) + ("-bundle" if "--bundle" in words else "")
)
def test_it_is_refused_exactly_as_one_that_does_not_exist(restricted, casewright, words):
    words = words if "{}" in words else (*words, "{}")

    def said(number: int):
        return casewright(*(word.format(number) if word == "{}" else word for word in words), "--as", "otto")

    hidden, nowhere = said(1), said(99)
    assert (hidden.code, hidden.out) == (nowhere.code, nowhere.out)
    assert hidden.code != 0
    assert hidden.err.replace("1", "99", 1) == nowhere.err
    assert "access.refused" in kinds(casewright)


LISTINGS = [
    ("case", "list"),
    ("task", "list"),
    ("alert", "list"),
    ("audit", "tail", "-n", "500"),
    ("outbox", "list"),
    ("audit", "export"),
    ("audit", "export", "--format", "csv"),
    ("audit", "export", "--actor", "dana", "--format", "ecs"),
]


@pytest.mark.parametrize("words", LISTINGS, ids="-".join)
def test_no_listing_shows_it(restricted, casewright, words):
    def shown(who: str) -> str:
        said = casewright(*words, "--as", who)
        assert said.code == 0, said.err
        return said.out

    traces = rf"{SECRET}|{restricted['case']['id']}|CASE-1\b"
    assert not re.search(traces, shown("otto"))
    if words not in {("alert", "list"), ("outbox", "list")}:  # there is none about it
        assert re.search(traces, shown("dana"))


@pytest.fixture
def of_an_alert(filled, home, casewright, tmp_path):
    """CASE-1 is about an alert, and only lena may see it; returns the file of the alert and its id."""
    keys.load_or_create(home / "keys")
    file = tmp_path / "alert.json"
    file.write_text(json.dumps({"title": SECRET, "source": "x", "source_ref": "1"}))
    alert = casewright("alert", "send", file, "--shape", "generic", "--no-case", "--json").json["alerts"][0]["id"]
    assert casewright("case", "open", "--sop", "phishing", "--title", "t", "--alert", alert).code == 0
    assert casewright("case", "restrict", "1", "--to", "lena", "--reason", "r").code == 0
    return file, alert


@pytest.mark.parametrize(
    "words",
    [("audit", "tail", "-n", "500", "--json"), ("audit", "export", "--format", "csv"), ("alert", "list")],
    ids="-".join,
)
def test_its_alert_is_not_there_either_though_it_came_before_the_case(of_an_alert, casewright, words):
    said = casewright(*words, "--as", "otto")
    assert said.code == 0, said.err
    assert SECRET not in said.out
    assert SECRET in casewright(*words, "--as", "lena").out


def test_its_alert_sent_again_counts_and_says_nothing_of_the_case(of_an_alert, casewright):
    file, alert = of_an_alert
    said = casewright("alert", "send", file, "--shape", "generic", "--as", "otto")
    assert said.code == 0, said.err
    assert "CASE-" not in said.out
    assert casewright("alert", "show", alert, "--as", "otto").code != 0
    assert casewright("alert", "show", alert, "--json", "--as", "lena").json["repeats"] == 1


def test_no_refusal_tells_its_number(filled, casewright):
    assert casewright("case", "open", "--sop", "phishing", "--title", SECRET).code == 0
    assert casewright("case", "restrict", "1", "--to", "lena", "--reason", "r").code == 0
    for words in (("case", "show", "1"), ("case", "note", "1", "w"), ("case", "show", "9")):
        assert "newest" not in casewright(*words, "--as", "otto").err


def test_a_task_of_it_is_not_there_either(restricted, casewright):
    task = restricted["stages"][0]["tasks"][0]
    for name in (task["id"], f"1/{task['key']}"):
        hidden, nowhere = (
            casewright("task", "show", name, "--as", "otto"),
            casewright("task", "show", name + "x", "--as", "otto"),
        )
        assert (hidden.code, hidden.out) == (nowhere.code, nowhere.out)
        assert hidden.code != 0


def test_who_may_see_it_sees_it_and_that_is_on_record(restricted, casewright):
    before = kinds(casewright).count("case.read")
    assert SECRET in casewright("case", "show", "1", "--as", "lena").out
    assert kinds(casewright).count("case.read") > before
    assert "case.read" not in kinds(casewright, "2")


def reads(casewright) -> list[dict]:
    said = casewright("audit", "export", "--case", "1", "--as", "dana")
    return [one for one in map(json.loads, said.out.splitlines()) if one["type"] == "case.read"]


def test_looking_at_another_case_is_no_look_at_it(restricted, casewright):
    before = len(reads(casewright))
    assert casewright("audit", "tail", "--case", "2", "--as", "lena").code == 0
    assert [one["facts"] for one in reads(casewright)[before + 1 :]] == []  # the one more is that of the export before


def test_events_of_it_among_others_are_a_look_at_it(restricted, casewright):
    before = len(reads(casewright))
    assert "CASE-1" in casewright("audit", "tail", "-n", "500", "--as", "lena").out
    assert len(reads(casewright)) == before + 2  # and that of the export before


@pytest.mark.parametrize("words", [(), ("--format", "csv"), ("--actor", "dana"), ("--bundle", "all.zip")], ids="-".join)
def test_an_export_of_more_is_on_record_in_it(restricted, casewright, monkeypatch, tmp_path, words):
    monkeypatch.chdir(tmp_path)
    assert casewright("audit", "export", *words, "--as", "lena").code == 0
    said = casewright("audit", "tail", "--json", "-n", "500", "--as", "dana").json["events"]
    (export,) = (one for one in said if one["type"] == "audit.exported")
    (read,) = (one for one in said if one["type"] == "case.read" and one["facts"])
    assert read["facts"] == {"export": export["event_id"]}
    assert (read["stream"], read["actor"]) == (f"case/{restricted['case']['id']}", export["actor"])
    assert read["id"] < export["id"]


@pytest.mark.parametrize("words", [("--as", "otto"), ("--until", "2020-01-01", "--as", "lena")], ids="-".join)
def test_an_export_without_it_is_not(restricted, casewright, words):
    assert casewright("audit", "export", *words).code == 0
    assert [one for one in reads(casewright) if one["facts"]] == []


def test_a_stranger_at_the_keyboard_sees_what_is_for_everybody(restricted, casewright):
    said = casewright("case", "list", "--as", "nobody-knows")
    assert "Odd mail" in said.out
    assert SECRET not in said.out
    assert casewright("case", "show", "1", "--as", "nobody-knows").code != 0
    assert "access.refused" in kinds(casewright)


def test_a_whole_bundle_is_for_who_may_see_everything(restricted, casewright, tmp_path):
    out = tmp_path / "all.zip"
    refused = casewright("audit", "export", "--bundle", out, "--as", "otto")
    assert (refused.code != 0, out.exists(), "auditor" in refused.err) == (True, False, True)
    assert casewright("audit", "export", "--bundle", out, "--as", "lena").code == 0
    assert SECRET in ZipFile(out).read("disclosures.jsonl").decode() or ZipFile(out).read("events.jsonl")
    assert casewright("audit", "verify", out).code == 0


def test_checks_of_the_whole_look_at_all_of_it(restricted, casewright):
    for what in ("--state", "--log"):
        said = casewright("audit", "verify", what, "--as", "otto")
        assert said.code == 0, said.out + said.err


def tampered(home, *statements: str) -> None:
    """Change something as whoever holds the file can, who puts the triggers back."""
    with closing(sqlite3.connect(home / "casewright.db")) as connection, connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in (*statements, *(made for _, made in triggers)):
            connection.execute(statement)


@pytest.mark.parametrize("also", ["", "UPDATE cases SET restricted_to = NULL"])
def test_a_check_of_the_whole_names_columns_of_it_and_no_content(restricted, casewright, home, also):
    words = "UPDATE notes SET body = 'other words'", "UPDATE cases SET title = title || ' and more'"
    tampered(home, *words, "UPDATE note_revisions SET body = 'yet other words'", *filter(None, [also]))
    said = casewright("audit", "verify", "--state", "--as", "otto")
    assert said.code != 0
    assert "title is not what its events say" in said.out
    assert "body is not what its events say" in said.out
    assert 'title is "Odd mail and more", and by its events "Odd mail"' in said.out
    assert not re.search(f"{SECRET}|words", said.out + said.err)


def test_it_can_be_for_everybody_again(restricted, casewright):
    said = casewright("case", "unrestrict", "1", "--reason", "It was nothing.", "--as", "lena")
    assert (said.code, "everybody may see CASE-1" in said.out) == (0, True)
    assert SECRET in casewright("case", "show", "1", "--as", "otto").out
    assert "it was not restricted" in casewright("case", "unrestrict", "1", "--reason", "Again.").out


@pytest.mark.parametrize("to", ["", " , ", "role:no-such-role", "nobody-knows"])
def test_it_cannot_be_restricted_to_nobody(filled, casewright, to):
    casewright("case", "open", "--sop", "phishing", "--title", "Odd mail")
    said = casewright("case", "restrict", "1", "--to", to, "--reason", "x")
    assert said.code != 0
    assert "next:" in said.err
    assert "Odd mail" in casewright("case", "show", "1", "--as", "otto").out


def test_an_erasure_reaches_what_whoever_makes_it_may_not_see(restricted, casewright):
    assert casewright("person", "erase", "dana", "--basis", "Art. 17", "--yes", "--as", "otto").code == 0
    assert casewright("audit", "verify", "--state", "--as", "lena").code == 0
