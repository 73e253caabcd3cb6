"""Keys, checkpoints, bundles and replays at the command line."""

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from zipfile import ZipFile

import pytest

from case_store.audit import keys
from case_store.blobs import Blobs
from console.demo.alert import fresh


@pytest.fixture
def sealing(filled, home):
    """A home with the key of a relay; the command line seals by itself then."""
    keys.load_or_create(home / "keys")
    return filled


def test_a_bundle_is_written_and_verified(sealing, casewright, tmp_path):
    opened = casewright("case", "open", "--sop", "phishing", "--title", "Odd mail")
    assert opened.code == 0, opened.err
    for name, options in (("all.zip", []), ("case.zip", ["--case", "1"])):
        written = casewright("audit", "export", "--bundle", str(tmp_path / name), *options)
        assert written.code == 0, written.err
        assert f"casewright audit verify {tmp_path / name}" in written.err + written.out
        verified = casewright("audit", "verify", str(tmp_path / name), "--sealed", "--max-age", "1h")
        assert (verified.code, "Everything holds" in verified.out) == (0, True), verified.out + verified.err


def test_the_bundle_of_a_case_has_the_evidence_that_came_with_its_alert(sealing, casewright, tmp_path):
    alert = tmp_path / "alert.json"
    alert.write_bytes(fresh(datetime.now(UTC)))
    sent = casewright("alert", "send", alert)
    assert sent.code == 0, sent.err
    written = casewright("audit", "export", "--case", "1", "--bundle", tmp_path / "case.zip")
    assert "1 file of evidence" in written.out + written.err
    verified = casewright("audit", "verify", tmp_path / "case.zip")
    assert (verified.code, "1 of 1 files" in verified.out) == (0, True), verified.out
    without = casewright("audit", "export", "--case", "1", "--no-evidence", "--bundle", tmp_path / "without.zip")
    assert "0 files of evidence" in without.out + without.err
    assert casewright("audit", "verify", tmp_path / "without.zip").code == 0
    with ZipFile(tmp_path / "case.zip") as bundle:
        (name,) = [one for one in bundle.namelist() if one.startswith("evidence/")]
        assert bundle.read(name) == alert.read_bytes()


def test_a_bundle_that_was_cut_is_told_by_its_exit_code(sealing, casewright, tmp_path):
    casewright("audit", "export", "--bundle", str(tmp_path / "all.zip"))
    content = (tmp_path / "all.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[: len(content) // 2])
    cut = casewright("audit", "verify", str(tmp_path / "cut.zip"))
    assert (cut.code, "cannot be verified" in cut.out) == (2, True)
    later = casewright("audit", "export", "--bundle", str(tmp_path / "later.zip"))
    assert later.code == 0
    saved = tmp_path / "saved.txt"
    saved.write_text(casewright("audit", "checkpoint").out)
    assert casewright("audit", "verify", str(tmp_path / "all.zip"), "--checkpoint", str(saved)).code == 18
    assert casewright("audit", "verify", str(tmp_path / "later.zip"), "--checkpoint", str(saved)).code == 0


def test_a_bundle_is_not_put_on_record_where_it_cannot_be_written(sealing, casewright, tmp_path):
    casewright("case", "open", "--sop", "phishing", "--title", "Odd mail")
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.zip").mkdir()
    for out in (tmp_path / "nowhere" / "all.zip", tmp_path / "file" / "all.zip", tmp_path / "folder.zip"):
        refused = casewright("audit", "export", "--bundle", out)
        assert (refused.code, "next:" in refused.err) == (1, True), refused.err
    exported = casewright("audit", "tail", "-n", "500", "--json").json["events"]
    assert not [one for one in exported if one["type"] == "audit.exported"]
    assert sorted(one.name for one in tmp_path.glob(".*")) == []


def test_evidence_that_is_gone_or_another_is_said_and_not_counted(sealing, casewright, home, tmp_path):
    casewright("case", "open", "--sop", "phishing", "--title", "Odd mail")
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text(name)
        assert casewright("case", "attach", "1", tmp_path / name).code == 0
    digest = {name: sha256(name.encode()).hexdigest() for name in ("one", "two", "three")}
    file = {name: Blobs(home / "evidence").path(digest[name]) for name in digest}
    assert all(one.exists() for one in file.values())
    file["one"].unlink()
    file["two"].chmod(0o600)
    file["two"].write_text("too")
    written = casewright("audit", "export", "--bundle", tmp_path / "all.zip")
    said = written.out + written.err
    assert "2 files of evidence written" in said
    assert f"the evidence {digest['one']} is not on the disk" in said
    assert f"the evidence {digest['two']} has another content" in said
    assert digest["three"] not in said
    assert casewright("audit", "verify", tmp_path / "all.zip").code in {10, 11}


CONTRADICTIONS = {
    "a bundle and the installation": ("all.zip", "--state"),
    "a bundle and the log": ("all.zip", "--log"),
    "a bundle and Prefect": ("all.zip", "--prefect"),
    "a case of a bundle": ("all.zip", "--case", "1"),
    "JSON of a bundle": ("all.zip", "--json"),
    "a case of the tables": ("--state", "--case", "1"),
    "an age of the tables": ("--state", "--max-age", "1d"),
    "a witness of the log": ("--log", "--witness", "w"),
    "sealed tables": ("--state", "--sealed"),
    "a checkpoint of the tables": ("--state", "--checkpoint", "x"),
    "a key of Prefect": ("--prefect", "--key", "x"),
    "no age": ("all.zip", "--max-age", "3x"),
}


@pytest.mark.parametrize("words", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_what_contradicts_itself_is_refused(sealing, casewright, tmp_path, words):
    """Each of these would be silent about something that was asked for."""
    assert casewright("audit", "export", "--bundle", tmp_path / "all.zip").code == 0
    refused = casewright("audit", "verify", *(tmp_path / one if one == "all.zip" else one for one in words))
    assert (refused.code, "next:" in refused.err) == (1, True), refused.out + refused.err
    assert "Everything" not in refused.out


def test_a_key_that_cannot_be_read_is_said(sealing, casewright, tmp_path):
    casewright("audit", "export", "--bundle", tmp_path / "all.zip")
    said = casewright("audit", "verify", tmp_path / "all.zip", "--key", tmp_path / "nothing")
    assert (said.code, "cannot be verified" in said.out) == (2, True)


def test_the_key_is_one_line(sealing, casewright, home):
    assert casewright("audit", "key").out == f"{keys.public_key(home / 'keys')}\n"


@pytest.mark.parametrize(
    "words", [("key",), ("checkpoint",), ("verify",), ("verify", "all.zip"), ("export", "--out", "a", "--bundle", "b")]
)
def test_what_is_not_there_is_said_with_what_to_do(filled, casewright, words):
    refused = casewright("audit", *words)
    assert refused.code == 1
    assert "next:" in refused.err


def test_a_case_is_shown_as_it_was(filled, casewright):
    casewright("case", "open", "--sop", "phishing", "--title", "Odd mail")
    now = casewright("audit", "replay", "--case", "1", "--json").json
    assert {row["type"] for row in now["rows"]} >= {"case", "stage", "task"}
    first = casewright("audit", "replay", "--case", "1", "--seq", "1", "--json").json
    assert [row["type"] for row in first["rows"]] == ["case"]
    assert first["rows"][0]["title"] == "Odd mail"
    long_ago = casewright("audit", "replay", "--case", "1", "--at", "2020-01-01")
    assert (long_ago.code, "did not exist yet" in long_ago.out + long_ago.err) == (0, True)
    shown = casewright("audit", "replay", "--case", "1", "--at", datetime.now(UTC).isoformat())
    assert "CASE-1" in shown.out
    assert json.dumps(now).count('"state": "waiting"') > 10


def test_a_change_of_the_log_itself_is_named(sealing, casewright, home, tmp_path):
    casewright("audit", "export", "--bundle", str(tmp_path / "all.zip"))  # seals
    saved = tmp_path / "saved.txt"
    saved.write_text(casewright("audit", "checkpoint").out)
    clean = casewright("audit", "verify", "--log", "--state", "--checkpoint", saved)
    assert clean.code == 0, clean.out
    with closing(sqlite3.connect(home / "casewright.db")) as connection, connection:
        ((guard,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'audit_events_update'").fetchall()
        connection.execute("DROP TRIGGER audit_events_update")
        connection.execute("UPDATE audit_events SET actor_id = 'nobody' WHERE id = 1")
        connection.execute(guard)
    changed = casewright("audit", "verify", "--log")
    assert (changed.code, "columns actor_id" in changed.out, "next:" in changed.out) == (10, True, True), changed.out
    refused = casewright("audit", "verify", "--log", "--checkpoint", home / "casewright.db")
    assert (refused.code, "next:" in refused.err) == (1, True)


def test_a_change_around_the_case_store_is_named(filled, casewright, home):
    casewright("case", "open", "--sop", "phishing", "--title", "Odd mail")
    assert casewright("audit", "verify", "--state").code == 0
    with closing(sqlite3.connect(home / "casewright.db")) as connection, connection:
        ((guard,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'cases_update'").fetchall()
        connection.execute("DROP TRIGGER cases_update")
        connection.execute("UPDATE cases SET title = 'Nothing happened'")
        connection.execute(guard)
    differs = casewright("audit", "verify", "--state")
    assert differs.code == 10
    assert 'title is "Nothing happened", and by its events "Odd mail"' in differs.out


def test_a_comparison_without_prefect_says_what_to_do(filled, casewright, monkeypatch):
    monkeypatch.setenv("CASEWRIGHT_PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr(asyncio, "sleep", _at_once)
    casewright("case", "open", "--sop", "ssh-bruteforce", "--title", "A try")
    said = casewright("audit", "verify", "--prefect")
    assert said.code == 1
    assert "Prefect does not answer at http://127.0.0.1:9/api" in said.err
    assert "casewright up" in said.err


async def _at_once(_seconds):
    """Do not wait between two tries."""
