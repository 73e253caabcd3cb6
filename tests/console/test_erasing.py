"""Erasure, legal holds and retention at the command line."""

import json
import sqlite3
from contextlib import closing
from zipfile import ZipFile

import pytest

from case_store.audit import keys


@pytest.fixture
def closed(filled, home, casewright):
    """A closed case with a note and a file; Dana opened it."""
    keys.load_or_create(home / "keys")
    (home / "anna.txt").write_text("Anna")
    for words in (
        ["open", "--sop", "phishing", "--title", "Mail from Anna"],
        ["note", "1", "Anna called."],
        ["attach", "1", str(home / "anna.txt")],
        ["cancel", "1", "--reason", "Drill."],
    ):
        said = casewright("case", *words)
        assert said.code == 0, said.err
    return home


def test_a_person_is_erased_once_and_only_when_it_was_confirmed(closed, casewright):
    words = ("person", "erase", "lena", "--basis", "Art. 17")
    assert "the name in 0 signed tasks" in casewright(*words, "--dry-run").out
    refused = casewright(*words)
    assert (refused.code, "--yes" in refused.err) == (1, True)
    done = casewright(*words, "--yes", "--ticket", "T-1")
    assert (done.code, "what is left is called erased-" in done.out) == (0, True), done.err
    name = done.out.split("called ")[1].split(":")[0]
    assert "nothing is left" in casewright("person", "erase", name, "--basis", "Art. 17", "--yes").out
    assert "lena" not in casewright("people", "list").out
    assert casewright("audit", "verify", "--state").code == 0


def test_a_hold_keeps_everybody_of_the_case_until_it_is_released(closed, casewright):
    assert casewright("case", "hold", "1", "--reason", "Court 7").code == 0
    refused = casewright("person", "erase", "dana", "--basis", "x", "--dry-run")
    assert (refused.code, "CASE-1" in refused.err) == (1, True)
    assert casewright("case", "release", "1").code == 0
    assert "under no hold" in casewright("case", "release", "1").out
    assert casewright("person", "erase", "dana", "--basis", "x", "--dry-run").code == 0


def test_what_is_redacted_is_gone_and_old_bundles_still_verify(closed, casewright, tmp_path):
    old = tmp_path / "old.zip"
    assert casewright("audit", "export", "--case", "1", "--bundle", old).code == 0
    page = casewright("case", "show", "1", "--json").json
    (note,), (file,) = page["notes"], page["evidence"]
    for row in (note["id"], file["id"]):
        said = casewright("case", "redact", "1", row, "--basis", "asked", "--yes")
        assert said.code == 0, said.err
    assert "Anna called" not in casewright("case", "timeline", "1", "--json").out
    assert "[erased]" in casewright("audit", "tail", "--json", "--case", "1", "-n", "200").out
    assert not list((closed / "evidence").glob("??/*"))
    new = tmp_path / "new.zip"
    assert casewright("audit", "export", "--case", "1", "--bundle", new).code == 0
    for bundle in (old, new):
        verified = casewright("audit", "verify", bundle)
        assert verified.code == 0, verified.out
    assert "withheld or erased" in verified.out


def test_retention_erases_what_ended_long_ago_and_says_what_is_held(closed, home, casewright):
    assert casewright("retention", "run").code == 1
    assert casewright("retention", "run", "--older-than", "soon").code == 1
    assert "0 cases" in casewright("retention", "run", "--older-than", "1d", "--yes").out
    with closing(sqlite3.connect(home / "casewright.db")) as database:
        triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE name = 'cases_update'").fetchall()
        database.execute("DROP TRIGGER cases_update")
        database.execute("UPDATE cases SET closed_at = '2020-01-01 00:00:00.000000'")
        database.execute(triggers[0][1])
        database.commit()
    assert casewright("retention", "run", "--older-than", "3y", "--dry-run").out.count("2020-01-01") == 1
    done = casewright("retention", "run", "--older-than", "3y", "--yes", "--json")
    assert json.loads(done.out) == {"erased": [1], "alerts": [], "held": []}
    assert not list((home / "evidence").glob("??/*"))
    assert json.loads(casewright("retention", "run", "--older-than", "3y", "--yes", "--json").out)["erased"] == []


def test_retention_takes_alerts_that_never_became_a_case(filled, home, casewright, tmp_path):
    file = tmp_path / "alert.json"
    file.write_text(json.dumps({"title": "Anna called", "source": "x", "source_ref": "1"}))
    sent = casewright("alert", "send", file, "--shape", "generic", "--no-case", "--json").json["alerts"]
    assert "0 alerts" in casewright("retention", "run", "--older-than", "1d", "--yes").out
    with closing(sqlite3.connect(home / "casewright.db")) as database:
        ((made,),) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'alerts_update'").fetchall()
        database.execute("DROP TRIGGER alerts_update")
        database.execute("UPDATE alerts SET received_at = '2020-01-01 00:00:00.000000'")
        database.execute(made)
        database.commit()
    listed = casewright("retention", "run", "--older-than", "3y", "--dry-run", "--json").json
    assert [one["id"] for one in listed["alerts"]] == [sent[0]["id"]]
    assert "2020-01-01" in casewright("retention", "run", "--older-than", "3y", "--dry-run").out
    said = casewright("retention", "run", "--older-than", "3y", "--yes")
    assert "0 cases, 1 alert without a case and 1 file of evidence erased" in said.out
    assert "Anna" not in casewright("audit", "tail", "--json", "-n", "300").out + casewright("alert", "list").out
    assert not list((home / "evidence").glob("??/*"))


def test_an_alert_that_is_redacted_is_gone(filled, home, casewright, tmp_path):
    file = tmp_path / "alert.json"
    file.write_text(json.dumps({"title": "Anna called", "source": "x", "source_ref": "1"}))
    alert = casewright("alert", "send", file, "--shape", "generic", "--no-case", "--json").json["alerts"][0]["id"]
    said = casewright("alert", "redact", alert, "--basis", "Art. 17", "--yes")
    assert (said.code, "1 file of evidence" in said.out) == (0, True), said.err
    assert "Anna" not in casewright("alert", "show", alert).out
    assert not list((home / "evidence").glob("??/*"))
    again = casewright("alert", "send", file, "--shape", "generic", "--no-case", "--json")
    assert again.json["alerts"][0]["repeats"] == 1
    assert casewright("alert", "redact", alert, "--basis", "Art. 17", "--yes").code == 0
    assert not list((home / "evidence").glob("??/*"))


def test_an_alert_of_a_case_is_erased_there(filled, casewright, tmp_path):
    file = tmp_path / "alert.json"
    file.write_text(json.dumps({"title": "Anna called", "source": "x", "source_ref": "1"}))
    alert = casewright("alert", "send", file, "--shape", "generic", "--no-case", "--json").json["alerts"][0]["id"]
    assert casewright("case", "open", "--sop", "phishing", "--title", "t", "--alert", alert).code == 0
    said = casewright("alert", "redact", alert, "--basis", "Art. 17", "--yes")
    assert (said.code, f"casewright case redact 1 {alert}" in said.err) == (1, True)


def test_a_bundle_without_personal_values_holds_none(closed, casewright, tmp_path):
    bare = tmp_path / "bare.zip"
    assert casewright("audit", "export", "--case", "1", "--bundle", bare, "--without-personal").code == 0
    with ZipFile(bare) as found:
        assert not {"disclosures.jsonl", "report.html"} & set(found.namelist())
        assert b"Anna" not in found.read("events.jsonl")
    assert casewright("audit", "verify", bare).code == 0
