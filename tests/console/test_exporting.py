"""Exports into files: every format, every selection, killed in the middle, and gone on with."""

import csv
import fcntl
import json
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from case_store.actor import Actor
from case_store.audit import keys
from case_store.audit.formats import FORMATS
from console.commands.audit_export import FormatName
from tests.console.conftest import NOW
from tests.store import kinds  # noqa: F401 - so that `test.wrote` may be recorded

EVENTS = 700  # more than fit into one chunk

# Runs one command and dies in the middle of a line, as if the machine had gone: what is safe by then is every 100th.
KILLED = """
import os, signal, sys
from console import cli, exporting

exporting.SAFE_EVERY, last = 100, int(sys.argv[1])
write, count = exporting._Part.write, 0

def half(part, content):
    global count
    count += 1
    if count < last:
        return write(part, content)
    write(part, content[: len(content) // 2])
    part._file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

exporting._Part.write = half
sys.exit(cli.run(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the home of the first test is kept for those after it."""
    return tmp_path_factory.mktemp("kept") / "home"


@pytest.fixture
def recorded(casewright, in_store, tmp_path, home, kept):
    """A case with evidence, and many events of the engine."""
    if kept.exists():
        shutil.copytree(kept, home, dirs_exist_ok=True)
        return
    (tmp_path / "letter.txt").write_text("Dear all")
    assert casewright("case", "open", "--sop", "phishing", "--title", "=Odd|mail").code == 0
    assert casewright("case", "attach", "1", tmp_path / "letter.txt").code == 0

    async def many(tx):
        for number in range(EVENTS):
            tx.record(
                "test.wrote", None, by=Actor.system("engine"), at=NOW, facts={"number": number, "text": "x\n=" * 9}
            )

    in_store(many)


def killed(last, *words):
    """Run a command that is killed in its so-manieth write."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(last), *map(str, words)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_the_command_line_names_the_formats_there_are():
    assert set(get_args(FormatName)) == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_goes_into_a_file(casewright, recorded, tmp_path, name):
    out = tmp_path / f"record{FORMATS[name].suffix}"
    said = casewright("audit", "export", "--format", name, "--out", out)
    assert (said.code, said.err) == (0, "")
    lines = out.read_bytes().decode().removesuffix("\n").split("\n")
    events = casewright("audit", "tail", "-n", "1", "--json").json["events"][0]["id"]
    expected = {"csv": events + 1, "case-uco": 4}.get(name, events)
    assert len(lines) == expected
    told = "1 event" if name == "case-uco" else f"{events} events"
    assert f"{told} written to {out}" in said.out
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []
    assert casewright("audit", "export", "--format", name).out.count("\n") in {expected, expected + 1}


class TestInterrupted:
    """A killed export leaves no file of its name; it goes on without a gap and without anything twice."""

    @pytest.mark.parametrize("last", [2, 350, 730])
    def test_goes_on_after_a_kill(self, casewright, recorded, tmp_path, last):
        out = tmp_path / "record.jsonl"
        killed(last, "audit", "export", "--out", out)
        assert not out.exists()
        assert not (tmp_path / "record.jsonl.part").read_bytes().endswith(b"\n")
        casewright("case", "note", "1", "written while it lay there")
        again = casewright("audit", "export", "--out", out)
        assert (again.code, "--resume" in again.err) == (1, True)
        said = casewright("audit", "export", "--out", out, "--resume")
        assert said.code == 0, said.err
        bodies = out.read_text("utf-8").splitlines()
        on_record = casewright("audit", "tail", "-n", "9999", "--json").json["events"]
        (begun,) = [number for number, event in enumerate(on_record) if event["type"] == "audit.exported"]
        assert [json.loads(one)["event_id"] for one in bodies] == [one["event_id"] for one in on_record[: begun + 1]]
        assert [event["type"] for event in on_record[begun + 1 :]] == ["note.added", "audit.export_resumed"]
        assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []

    @pytest.mark.parametrize("name", ["csv", "case-uco"])
    def test_gives_the_same_file_as_one_that_was_not_killed(self, casewright, recorded, tmp_path, name):
        out = tmp_path / "record"
        words = ("audit", "export", "--format", name, "--out", out, "--until", "2026-03-02T09:31:00")
        killed(444, *words)
        killed(222, *words, "--resume")
        assert casewright(*words, "--resume").code == 0
        written = out.read_bytes()
        assert casewright(*words, "--replace").code == 0
        assert written.splitlines()[:-1] == out.read_bytes().splitlines()[:-1]
        assert len(written.splitlines()) > (EVENTS if name != "case-uco" else 2)

    def test_before_the_first_event_begins_anew(self, casewright, recorded, tmp_path):
        out = tmp_path / "record.csv"
        killed(1, "audit", "export", "--format", "csv", "--out", out)
        assert casewright("audit", "export", "--format", "csv", "--out", out).code == 0
        with out.open(newline="") as file:
            assert len(list(csv.reader(file))) > EVENTS

    def test_other_options_do_not_go_on(self, casewright, recorded, tmp_path):
        out = tmp_path / "record.csv"
        killed(300, "audit", "export", "--format", "csv", "--out", out)
        for words in (["--format", "ecs"], ["--format", "csv", "--case", "1"], ["--format", "csv", "--bom"]):
            said = casewright("audit", "export", *words, "--out", out, "--resume")
            assert (said.code, "is another one: format csv, scope all" in said.err) == (1, True)

    def test_a_part_that_was_shortened_does_not_go_on(self, casewright, recorded, tmp_path):
        out = tmp_path / "record.jsonl"
        killed(300, "audit", "export", "--out", out)
        with (tmp_path / "record.jsonl.part").open("r+b") as part:
            part.truncate(100)
        said = casewright("audit", "export", "--out", out, "--resume")
        assert (said.code, "shorter than it was" in said.err) == (1, True)

    def test_between_the_file_and_the_end_is_whole(self, casewright, recorded, tmp_path):
        """Killed when the file had its name and the state was not yet taken away: what is left means nothing."""
        out = tmp_path / "record.jsonl"
        killed(300, "audit", "export", "--out", out)
        (tmp_path / "record.jsonl.part").rename(out)
        assert "is there already" in casewright("audit", "export", "--out", out, "--resume").err
        said = casewright("audit", "export", "--out", out, "--replace")
        assert said.code == 0, said.err
        assert json.loads(out.read_text("utf-8").splitlines()[-1])["type"] == "audit.exported"

    def test_a_disk_that_is_full_keeps_what_is_safe(self, casewright, recorded, tmp_path, monkeypatch):
        from console import exporting

        out, write, count = tmp_path / "record.jsonl", exporting._Part.write, iter(range(10_000))

        def full(part, content):
            if next(count) > 400:
                raise OSError(28, "No space left on device")
            return write(part, content)

        with monkeypatch.context() as patched:
            patched.setattr(exporting._Part, "write", full)
            said = casewright("audit", "export", "--out", out)
        assert (said.code, "No space left" in said.err, "--resume" in said.err) == (1, True, True)
        assert casewright("audit", "export", "--out", out, "--resume").code == 0
        lines = out.read_text("utf-8").splitlines()
        assert len(lines) == len(set(lines)) > EVENTS

    def test_two_at_once_are_one_too_many(self, casewright, recorded, tmp_path):
        out = tmp_path / "record.jsonl"
        with (tmp_path / "record.jsonl.part").open("wb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            said = casewright("audit", "export", "--out", out)
        assert (said.code, "under way" in said.err) == (1, True)
        assert not out.exists()


def lines(said):
    assert said.code == 0, said.err
    return [json.loads(line) for line in said.out.splitlines()]


def test_selections(casewright, recorded):
    dana = lines(casewright("audit", "export", "--actor", "dana"))
    assert {event["actor"]["kind"] for event in dana} == {"person"}
    assert "evidence.attached" in {event["type"] for event in dana}
    engine = lines(casewright("audit", "export", "--actor", "system:engine"))
    assert [event["type"] for event in engine].count("test.wrote") == EVENTS
    both = lines(casewright("audit", "export", "--actor", "system:engine", "--case", "1"))
    assert [event["type"] for event in both] == ["audit.exported"]
    then = lines(casewright("audit", "export", "--since", "2026-03-02T09:30:00", "--until", "2026-03-02T10:00:00Z"))
    assert {event["type"] for event in then} == {"test.wrote", "audit.exported", "person.added"}
    assert then[-1]["facts"] == {
        "scope": "all",
        "since": "2026-03-02T09:30:00.000000Z",
        "until": "2026-03-02T10:00:00.000000Z",
        "format": "jsonl",
    }


@pytest.mark.parametrize(
    "words", [("--out", "o.csv"), ("--out", "o.csv", "--resume"), ("--bundle", "o.csv")], ids="-".join
)
def test_a_file_that_is_there_is_replaced_when_asked_only(casewright, recorded, home, tmp_path, monkeypatch, words):
    keys.load_or_create(home / "keys")
    monkeypatch.chdir(tmp_path)
    assert casewright("audit", "export", "--format", "csv", "--out", "o.csv").code == 0
    before, then = Path("o.csv").read_bytes(), casewright("audit", "tail", "-n", "1", "--json").out
    refused = casewright("audit", "export", *words)
    assert (refused.code, Path("o.csv").read_bytes()) == (1, before)
    assert "o.csv is there already" in refused.err
    assert "--replace" in refused.err
    assert casewright("audit", "tail", "-n", "1", "--json").out == then
    assert casewright("audit", "export", *words, "--replace").code == 0
    assert Path("o.csv").read_bytes() != before


def test_a_csv_may_begin_with_a_byte_order_mark(casewright, recorded, tmp_path):
    out = tmp_path / "record.csv"
    assert casewright("audit", "export", "--format", "csv", "--bom", "--out", out).code == 0
    assert out.read_bytes().startswith(b'\xef\xbb\xbf"log index",')
    assert casewright("audit", "export", "--format", "csv", "--bom").out.startswith("\ufeff")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--resume"], "only an export into a file goes on"),
        (["--bom"], "--bom is for spreadsheets"),
        (["--no-evidence"], "only a bundle has files of evidence"),
        (["--no-evidence", "--out", "x.jsonl"], "only a bundle has files of evidence"),
        (["--replace"], "there is no file to replace"),
        (["--bundle", "b.zip", "--format", "cef"], "a bundle holds the whole record"),
        (["--bundle", "b.zip", "--actor", "dana"], "a bundle holds the whole record"),
        (["--since", "2026-03-02", "--until", "2026-03-01"], "nothing is after"),
        (["--actor", "nobody"], "nobody is called 'nobody'"),
        (["--actor", "system:"], "names nobody"),
        (["--case", "99"], "there is no case 99"),
    ],
)
def test_contradictions_are_refused_and_nothing_is_on_record(casewright, recorded, words, reason):
    before = casewright("audit", "tail", "-n", "1", "--json").out
    said = casewright("audit", "export", *words)
    assert (said.code, said.out) == (1, "")
    assert reason in said.err
    assert "next:" in said.err
    assert casewright("audit", "tail", "-n", "1", "--json").out == before


def test_the_commands_of_the_document_do_what_it_says(casewright, recorded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "howto" / "export.md").read_text("utf-8")
    commands = [line.partition("#")[0].split() for line in text.splitlines() if line.startswith("casewright ")]
    assert len(commands) == 6
    for command in commands:
        if "--resume" in command:  # there, what came before was interrupted
            Path("record.jsonl").unlink()
        said = casewright(*command[1:])
        assert said.code == 0, (command, said.err)
    assert {path.name for path in tmp_path.iterdir()} >= {"record.jsonl", "case.csv", "march.cef", "dana.ndjson"}
    assert all(f"| `{name}` |" in text for name in FORMATS)
