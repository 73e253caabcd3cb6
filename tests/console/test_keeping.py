"""People, the record, the database, the SOPs."""

import json
import stat
from pathlib import Path

import pytest

from sop.library import BUILT_IN

HEADER = "handle,name,email,phone,manager,roles,time_zone\n"


class TestPeople:
    """Lists of people come in as CSV, by handle."""

    def test_the_first_list_needs_nobody(self, casewright, tmp_path):
        file = tmp_path / "people.csv"
        file.write_text(HEADER + "ada,Ada,ada@example.org,,,analyst,Europe/London\n")
        casewright("db", "upgrade")
        assert casewright("people", "import", file).out == "1 new, 0 changed, 0 unchanged\n"
        file.write_text(HEADER + "bo,Bo,,,ada,,\n")
        said = casewright("people", "import", file, "--as", "mallory")
        assert said.code == 1
        assert "nobody called 'mallory'" in said.err
        assert casewright("people", "import", file, "--as", "ada").out == "1 new, 0 changed, 0 unchanged\n"

    def test_every_mistake_is_told_with_its_line(self, casewright, filled, tmp_path):
        file = tmp_path / "people.csv"
        file.write_text(HEADER + "x y,,nowhere,123,,wizard,Mars/Base\n")
        said = casewright("people", "import", file)
        assert said.code == 1
        assert said.err.count("line 2:") >= 5
        assert "analyst" in said.err, "the roles there are"

    def test_listing_has_one_shape(self, casewright, filled):
        rows = casewright("people", "list", "--json").json["people"]
        assert set(rows[0]) == {
            "id", "handle", "name", "email", "phone", "manager", "roles", "time_zone", "active",
        }  # fmt: skip
        assert [row["handle"] for row in rows] == sorted(row["handle"] for row in rows)
        assert "Dana Okafor" in casewright("people", "list").out

    def test_an_empty_listing_says_what_to_do(self, casewright):
        casewright("db", "upgrade")
        assert "casewright people import" in casewright("people", "list").out


class TestAudit:
    """The record is read and leaves as JSON Lines."""

    @pytest.fixture
    def recorded(self, casewright, filled):
        casewright("case", "open", "--sop", "phishing", "--title", "One")
        casewright("case", "open", "--sop", "phishing", "--title", "Two")
        casewright("case", "note", "1", "hello")

    def test_tail_shows_the_newest_last(self, casewright, recorded):
        events = casewright("audit", "tail", "-n", "2", "--json").json["events"]
        assert len(events) == 2
        assert events[-1]["type"] == "note.added"
        assert {"id", "type", "ts", "actor", "entity", "changes", "facts", "request_id"} <= set(events[0])
        shown = casewright("audit", "tail", "-n", "1").out
        assert "note.added" in shown
        assert "dana" in shown
        assert "CASE-1" in shown

    def test_tail_of_one_case(self, casewright, recorded):
        events = casewright("audit", "tail", "--case", "2", "-n", "500", "--json").json["events"]
        assert len({event["stream"] for event in events}) == 1
        assert "note.added" not in {event["type"] for event in events}

    def test_nothing_yet(self, casewright):
        casewright("db", "upgrade")
        assert casewright("audit", "tail").out == "nothing is on record yet\n"

    def test_an_export_is_json_lines_and_on_record_itself(self, casewright, recorded):
        lines = casewright("audit", "export").out.splitlines()
        events = [json.loads(line) for line in lines]
        assert events[-1]["type"] == "audit.exported"
        assert events[-1]["actor"]["kind"] == "person"
        assert len(events) == casewright("audit", "tail", "-n", "1", "--json").json["events"][0]["id"]

    def test_an_export_to_a_file_is_whole_and_for_its_owner(self, casewright, recorded, tmp_path):
        out = tmp_path / "record.jsonl"
        said = casewright("audit", "export", "--case", "1", "--out", out)
        assert said.code == 0
        lines = out.read_text("utf-8").splitlines()
        assert said.out == f"{len(lines)} events written to {out}\n"
        assert len({json.loads(line)["stream"] for line in lines}) == 1
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert list(tmp_path.glob("*.part")) == []

    def test_an_export_that_cannot_be_written_leaves_nothing(self, casewright, recorded, tmp_path):
        said = casewright("audit", "export", "--out", tmp_path / "nowhere" / "x.jsonl")
        assert said.code == 1
        assert "No such file" in said.err

    def test_a_stranger_exports_nothing(self, casewright, recorded):
        said = casewright("audit", "export", "--as", "mallory")
        assert (said.code, said.out) == (1, "")


class TestDatabase:
    """`db upgrade` makes what `db check` wants."""

    def test_from_nothing_to_the_newest_and_again(self, casewright):
        said = casewright("db", "check")
        assert said.code == 1
        assert "next: run: casewright db upgrade" in said.err
        assert casewright("db", "upgrade").out.startswith("from nothing to ")
        assert casewright("db", "upgrade").out.startswith("already at ")
        assert casewright("db", "check").out == "the database is as it should be\n"

    def test_the_check_for_programs(self, casewright):
        said = casewright("db", "check", "--json")
        assert said.code == 1
        assert said.json["ok"] is False
        assert set(said.json["problems"][0]) == {"message", "next_step"}
        casewright("db", "upgrade")
        assert casewright("db", "check", "--json").json == {"ok": True, "problems": [], "advice": []}


class TestSops:
    """SOPs are listed, shown and checked without any database."""

    def test_listing_has_one_shape(self, casewright):
        rows = casewright("sop", "list", "--json").json["sops"]
        assert {row["sop"] for row in rows} == {"phishing", "ransomware", "ssh-bruteforce", "lost-device"}
        assert set(rows[0]) == {
            "sop", "version", "title", "severity", "stages", "tasks", "match", "source", "digest",
        }  # fmt: skip
        assert "ssh-bruteforce" in casewright("sop", "list").out

    def test_sops_of_ones_own_come_along_and_replace_those_of_the_same_key(self, casewright, tmp_path, monkeypatch):
        text = (BUILT_IN / "phishing.yaml").read_text("utf-8")
        (tmp_path / "mine.yaml").write_text(text.replace("version: 2", "version: 7", 1))
        (tmp_path / "broken.yaml").write_text("sop: broken\n")
        monkeypatch.setenv("CASEWRIGHT_SOPS", str(tmp_path))
        said = casewright("sop", "list", "--json")
        assert {row["sop"]: row["version"] for row in said.json["sops"]}["phishing"] == 7
        assert len(said.json["sops"]) == 4
        assert "left out: 1 SOP file with mistakes" in said.err

    def test_show(self, casewright):
        shown = casewright("sop", "show", "ssh-bruteforce").out
        assert "Say who is knocking" in shown
        assert "approval from" in shown
        assert "role:incident-manager" in shown
        document = casewright("sop", "show", "ssh-bruteforce", "--json").json
        assert document["sop"]["sop"] == "ssh-bruteforce"
        assert document["sop"]["stages"][1]["tasks"][0]["approval"]["from"] == "role:incident-manager"

    def test_show_the_file_itself(self, casewright):
        text = (BUILT_IN / "phishing.yaml").read_text("utf-8")
        assert casewright("sop", "show", "phishing", "--text").out == text

    def test_an_unknown_key_is_refused_with_those_there_are(self, casewright):
        said = casewright("sop", "show", "fishing")
        assert said.code == 1
        assert "phishing" in said.err

    def test_the_library_is_right(self, casewright):
        said = casewright("sop", "check")
        assert (said.code, said.out) == (0, "4 SOPs checked, nothing wrong\n")

    def test_a_broken_file_is_refused_by_line_with_a_next_step(self, casewright, tmp_path):
        file = tmp_path / "broken.yaml"
        file.write_text("sop: broken\nversion: one\nstages: []\ncolour: red\n")
        said = casewright("sop", "check", file)
        assert said.code == 1
        assert f"{file}:2:" in said.err
        assert f"{file}:4:" in said.err
        assert said.err.count("next:") >= 2

    def test_the_check_for_programs_and_of_folders(self, casewright, tmp_path):
        (tmp_path / "broken.yaml").write_text("sop: broken\n")
        said = casewright("sop", "check", tmp_path, BUILT_IN / "phishing.yaml", "--json")
        assert said.code == 1
        assert said.json["ok"] is False
        assert [Path(file).name for file in said.json["checked"]] == ["broken.yaml", "phishing.yaml"]
        assert set(said.json["problems"][0]) == {"source", "line", "message", "next_step"}

    def test_a_folder_is_checked_with_the_calendars_in_it(self, casewright, tmp_path):
        text = (BUILT_IN / "phishing.yaml").read_text("utf-8")
        (tmp_path / "mine.yaml").write_text(text.replace("\nversion:", "\nhours: office\nversion:", 1))
        assert "no calendar 'office'" in casewright("sop", "check", tmp_path).err
        (tmp_path / "calendars.yaml").write_text("office: {zone: Europe/Berlin, hours: {mon-fri: 08:00-17:00}}\n")
        said = casewright("sop", "check", tmp_path)
        assert (said.code, said.out) == (0, "1 SOP checked, nothing wrong\n")
        (tmp_path / "calendars.yaml").write_text("office: {zone: Europe/Munich, hours: {mon-fri: 08:00-17:00}}\n")
        said = casewright("sop", "check", tmp_path)
        assert (said.code, "calendars.yaml:1: 'Europe/Munich' is no time zone" in said.err) == (1, True)

    def test_the_schema_is_the_one_that_is_kept(self, casewright):
        kept = json.loads((BUILT_IN.parent / "sop.schema.json").read_text("utf-8"))
        assert casewright("sop", "schema").json == kept
