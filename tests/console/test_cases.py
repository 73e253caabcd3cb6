"""`casewright case`: JSON of one shape for programs, harmless tables for people, one verb a command."""

import hashlib
import json

import pytest

HOSTILE = "\x1b]0;owned\x07[red]Invoice[/red] \u202efdp.exe"


@pytest.fixture
def opened(casewright, filled):
    said = casewright("case", "open", "--sop", "phishing", "--title", HOSTILE, "--severity", "high", "--json")
    assert said.code == 0, said.err
    return said.json


def test_opening_says_the_number(casewright, filled):
    said = casewright("case", "open", "--sop", "phishing", "--title", "A mail")
    assert (said.code, said.out) == (0, "opened CASE-1: A mail\n")


def test_opening_gives_the_number_to_programs(opened):
    assert opened["number"] == 1
    assert opened["severity"] == "high"
    assert set(opened) == {"id", "number", "title", "severity"}


def test_an_unknown_sop_is_refused_with_what_there_is(casewright, filled):
    said = casewright("case", "open", "--sop", "fishing", "--title", "x")
    assert said.code == 1
    assert "phishing" in said.err


def test_the_owner_can_be_named(casewright, filled):
    casewright("case", "open", "--sop", "phishing", "--title", "x", "--owner", "tomas")
    assert casewright("case", "list", "--json").json["cases"][0]["owner"] == "tomas"


def test_listing_has_one_shape(casewright, opened):
    (row,) = casewright("case", "list", "--json").json["cases"]
    assert set(row) == {
        "id", "number", "title", "severity", "state", "sop_key", "owner", "opened_at", "closed_at", "open_tasks",
    }  # fmt: skip
    assert (row["number"], row["state"], row["owner"]) == (1, "open", "role:analyst")


def test_listing_nothing(casewright, filled):
    assert casewright("case", "list", "--json").json == {"cases": []}
    assert casewright("case", "list").out == "no such cases\n"


def test_listing_by_state(casewright, opened):
    casewright("case", "cancel", "1", "--reason", "a test")
    assert casewright("case", "list", "--json").json == {"cases": []}
    assert len(casewright("case", "list", "--state", "cancelled", "--json").json["cases"]) == 1
    assert len(casewright("case", "list", "--state", "all", "--json").json["cases"]) == 1


@pytest.mark.parametrize("words", ["case list", "case show 1", "case timeline 1", "task list --state all"])
def test_hostile_words_do_nothing_at_the_terminal(casewright, opened, words):
    shown = casewright(*words.split()).out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    assert "[red]" in shown, "markup is shown as it is"


@pytest.mark.parametrize("words", [["case", "list"], ["case", "show", "1"], ["case", "timeline", "1"]])
def test_json_is_plain_ascii(casewright, opened, words):
    said = casewright(*words, "--json")
    assert said.out.isascii()
    assert "\x1b" not in said.out
    assert json.loads(said.out)


def test_show_has_one_shape(casewright, opened):
    page = casewright("case", "show", "1", "--json").json
    assert set(page) == {
        "case", "sop_version", "sop_digest", "opened_by", "resolution", "stages", "alerts", "observables", "evidence",
        "notes", "times",
    }  # fmt: skip
    stage = page["stages"][0]
    assert set(stage) == {"id", "key", "title", "state", "due_at", "started_at", "closed_at", "tasks"}
    assert {"key", "title", "kind", "state", "owner", "mandatory", "due_at", "decision"} <= set(stage["tasks"][0])


@pytest.mark.parametrize("name", ["1", "CASE-1", "case-1"])
def test_a_case_is_named_as_people_say_it(casewright, opened, name):
    assert casewright("case", "show", name).code == 0


def test_an_unknown_case_is_refused(casewright, opened):
    said = casewright("case", "show", "99")
    assert said.code == 1
    assert "the newest is CASE-1" in said.err


def test_a_note_is_kept_with_its_author(casewright, opened):
    assert casewright("case", "note", "1", "Looked **into** it", "--task", "original").out == "noted in CASE-1\n"
    (note,) = casewright("case", "show", "1", "--json").json["notes"]
    assert (note["author"], note["body"], note["task"]) == ("dana", "Looked **into** it", "original")


def test_a_note_about_a_task_that_is_not_there_is_refused(casewright, opened):
    said = casewright("case", "note", "1", "words", "--task", "nothing")
    assert said.code == 1
    assert "original" in said.err, "what there is, is said"


def test_an_attached_file_is_kept_under_its_sha256(casewright, opened, filled, tmp_path):
    content = b"\x7fELF" + bytes(range(256)) * 10_000
    file = tmp_path / "sample.bin"
    file.write_bytes(content)
    said = casewright("case", "attach", "1", file, "--json")
    digest = hashlib.sha256(content).hexdigest()
    assert said.json["sha256"] == digest
    assert said.json["size"] == len(content)
    (kept,) = casewright("case", "show", "1", "--json").json["evidence"]
    assert (kept["name"], kept["sha256"], kept["added_by"]) == ("sample.bin", digest, "dana")
    assert (filled / "evidence" / digest[:2] / digest[2:]).read_bytes() == content


def test_a_file_that_is_not_there_is_refused(casewright, opened, tmp_path):
    said = casewright("case", "attach", "1", tmp_path / "nothing")
    assert said.code == 1
    assert "No such file" in said.err
    assert "next:" in said.err


def test_nothing_is_copied_for_a_case_that_is_not_there(casewright, opened, filled, tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"x")
    assert casewright("case", "attach", "7", file).code == 1
    assert not (filled / "evidence").exists()


def test_a_case_with_mandatory_tasks_is_not_closed(casewright, opened):
    said = casewright("case", "close", "1", "--resolution", "nothing to it")
    assert said.code == 1
    assert "mandatory" in said.err


def test_cancel_and_reopen(casewright, opened):
    assert casewright("case", "cancel", "1", "--reason", "a duplicate").out == "CASE-1 is cancelled\n"
    assert casewright("case", "reopen", "1", "--reason", "not a duplicate").out == "CASE-1 is open again\n"
    told = [row["what"] for row in casewright("case", "timeline", "1", "--json").json["timeline"]]
    assert any(what.startswith("case cancelled") for what in told)
    assert any(what.startswith("case re-opened") for what in told)


def test_a_small_change_is_one_request_by_the_person(casewright, opened):
    casewright("case", "note", "1", "one")
    event = casewright("audit", "tail", "-n", "1", "--json").json["events"][0]
    assert event["type"] == "note.added"
    assert event["actor"]["kind"] == "person"
    assert event["request_id"].startswith("cli-")
