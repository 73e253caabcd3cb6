"""`casewright alert`: what an alert becomes, and how that is said."""

import io
import json

import pytest

from console.demo.alert import fresh
from tests.console.conftest import NOW

SOP = """\
sop: {key}
version: 1
title: {key}
summary: A small one.
severity: low
match: {match}
stages:
  - key: only
    title: Only
    tasks:
      - key: look
        title: Look
"""


@pytest.fixture
def wazuh(tmp_path):
    file = tmp_path / "alert.json"
    file.write_bytes(fresh(NOW))
    return file


@pytest.fixture
def more_sops(tmp_path, monkeypatch):
    """Write SOPs of one's own, each with its `match`."""
    folder = tmp_path / "sops"
    folder.mkdir()
    monkeypatch.setenv("CASEWRIGHT_SOPS", str(folder))

    def write(**matches):
        for key, match in matches.items():
            (folder / f"{key}.yaml").write_text(SOP.format(key=key, match=match))

    return write


def generic(**fields):
    return json.dumps({"source": "mailbox", "source_ref": "m-1", "title": "A mail", "severity": "low", **fields})


def test_a_matching_alert_opens_a_case(casewright, filled, wazuh):
    said = casewright("alert", "send", wazuh)
    assert said.code == 0, said.err
    assert "opened CASE-1 by SOP ssh-bruteforce" in said.out
    (case,) = casewright("case", "list", "--json").json["cases"]
    assert case["title"].startswith("sshd: brute force")


def test_what_is_sent_has_one_shape(casewright, filled, wazuh):
    (sent,) = casewright("alert", "send", wazuh, "--json").json["alerts"]
    assert set(sent) == {
        "id", "source", "source_ref", "title", "new", "repeats", "case", "opened", "matching",
    }  # fmt: skip
    assert (sent["source"], sent["new"], sent["case"], sent["opened"]) == ("wazuh", True, 1, True)
    assert sent["matching"] == ["ssh-bruteforce"]


def test_a_repeat_is_said_and_opens_nothing(casewright, filled, wazuh):
    casewright("alert", "send", wazuh)
    said = casewright("alert", "send", wazuh)
    assert "seen before, repeat 1" in said.out
    assert "belongs to CASE-1" in said.out
    assert len(casewright("case", "list", "--state", "all", "--json").json["cases"]) == 1
    assert casewright("alert", "list", "--json").json["alerts"][0]["repeats"] == 1


def test_no_case_on_request(casewright, filled, wazuh):
    said = casewright("alert", "send", wazuh, "--no-case")
    assert "no case" in said.out
    assert casewright("case", "list", "--state", "all", "--json").json == {"cases": []}


def test_a_case_is_opened_for_a_stored_alert_later(casewright, filled, wazuh):
    (sent,) = casewright("alert", "send", wazuh, "--no-case", "--json").json["alerts"]
    opened = casewright("case", "open", "--sop", "phishing", "--title", "By hand", "--alert", sent["id"])
    assert opened.code == 0, opened.err
    assert casewright("alert", "show", sent["id"], "--json").json["case"] == 1


def test_of_several_matching_sops_the_first_by_key_opens_the_case_and_the_others_are_named(
    casewright, filled, wazuh, more_sops
):
    more_sops(aaa="alert.source == 'wazuh'", zzz="alert.severity == 'medium'", other="alert.source == 'other'")
    said = casewright("alert", "send", wazuh)
    assert "opened CASE-1 by SOP aaa; it also matches ssh-bruteforce, zzz" in said.out


def test_a_condition_on_a_field_that_is_not_there_does_not_match(casewright, filled, tmp_path, more_sops):
    more_sops(deep="alert.fields.deep.deeper == 'x'")
    file = tmp_path / "one.json"
    file.write_text(generic())
    said = casewright("alert", "send", file)
    assert (said.code, "no case" in said.out) == (0, True), said.err


def test_a_broken_sop_keeps_no_alert_out_and_is_mentioned(casewright, filled, wazuh, more_sops):
    more_sops(broken="alert.source ==")
    said = casewright("alert", "send", wazuh)
    assert said.code == 0
    assert "opened CASE-1" in said.out
    assert "left out: 1 SOP file with mistakes; see: casewright sop check" in said.err


def test_standard_input(casewright, filled, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(generic().encode())))
    said = casewright("alert", "send", "-", "--shape", "generic", "--json")
    assert said.json["alerts"][0]["title"] == "A mail"


def test_several_alerts_in_one_file(casewright, filled, tmp_path):
    file = tmp_path / "two.jsonl"
    file.write_text(generic(source_ref="1") + "\n" + generic(source_ref="2") + "\n")
    assert len(casewright("alert", "send", file, "--json").json["alerts"]) == 2


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": NaN}', '{"title": "no source"}', "{" * 100])
def test_what_is_no_alert_is_refused_and_nothing_is_stored(casewright, filled, tmp_path, content):
    file = tmp_path / "x.json"
    file.write_text(content)
    said = casewright("alert", "send", file)
    assert said.code == 1
    assert said.err.startswith("refused: ")
    assert "next:" in said.err
    assert casewright("alert", "list", "--json").json == {"alerts": []}


def test_a_file_that_is_not_there_is_refused(casewright, filled, tmp_path):
    said = casewright("alert", "send", tmp_path / "nothing.json")
    assert said.code == 1
    assert "No such file" in said.err


def test_hostile_fields_are_harmless(casewright, filled, tmp_path):
    file = tmp_path / "x.json"
    file.write_text(generic(title="\x1b[2J[bold]t[/bold]", fields={"\x1b]0;x\x07": "\u202e"}))
    said = casewright("alert", "send", file, "--json")
    assert said.code == 0, said.err
    alert_id = said.json["alerts"][0]["id"]
    for words in (["alert", "list"], ["alert", "show", alert_id], ["alert", "show", alert_id, "--json"]):
        shown = casewright(*words).out
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_listing_and_show_have_one_shape(casewright, filled, wazuh):
    casewright("alert", "send", wazuh)
    (row,) = casewright("alert", "list", "--json").json["alerts"]
    assert set(row) == {
        "id", "source", "source_ref", "title", "severity", "occurred_at", "received_at", "repeats", "case_number",
    }  # fmt: skip
    shown = casewright("alert", "show", row["id"], "--json").json
    assert shown["fields"]["data"]["srcip"] == "203.0.113.77"
    assert shown["case"] == 1
    assert "203.0.113.77" in casewright("alert", "show", row["id"]).out


def test_no_alerts_yet(casewright, filled):
    assert casewright("alert", "list").out == "no alert has come in yet\n"
