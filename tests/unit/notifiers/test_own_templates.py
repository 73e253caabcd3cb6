"""Templates of an installation: found, checked, filled in within limits."""

import errno
import subprocess
import sys
import time
from pathlib import Path

import pytest

from notifiers.catalogue import check
from notifiers.errors import RenderRefused
from notifiers.limited import MEMORY, WALL, fill_apart
from notifiers.render import render, strictly

FACTS = {
    "case": {"number": 42, "title": "x" * 1000, "severity": "high"},
    "task": {"title": "Block the sender", "stage": "Contain"},
    "due": "2026-11-24T13:00:00+00:00",
    "link": "https://casewright.example/",
    "recipient": {"name": "Ana", "time_zone": None},
}
LOOP = "{% for a in case.title %}"
BOMBS = {
    "nested loops": LOOP * 6 + "x" + "{% endfor %}" * 6,
    "nested loops that say nothing": LOOP * 6 + "{% endfor %}" * 6,
    "a long output": LOOP * 2 + "{{ case.title }}" + "{% endfor %}" * 2,
    "multiplication": "{{ 'a' * 1000000000 }}",
    "a power": "{{ 9 ** 9 ** 9 }}",
    "a format": "{{ '%1000000000d' % 1 }}",
    "a list times a number": "{{ [1] * 1000000000 }}",
    "joining": "{{ case.title ~ case.title }}",
    "center": "{{ 'a' | center(1000000000) }}",
    "range": "{% for a in range(1000000000) %}x{% endfor %}",
    "deep nesting": "{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}",
    "many filters": "{{ case.title" + " | short(9)" * 4000 + " }}",
    "a long source": "x" * 70_000,
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'x' as y %}",
    "extends": "{% extends 'x' %}",
    "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "set": "{% set x = case.title %}",
    "a call": "{{ case.title.format(case) }}",
    "the class of a value": "{{ ''.__class__.__mro__ }}",
    "attr": "{{ '' | attr('__class__') }}",
    "an unknown fact": "{{ config }}",
    "a missing part of a fact": "{{ case.secret }}",
    "no end": "{% if due %}",
    "not even a template": "{{",
}


def own(folder: Path, source: str, part: str = "text.txt", template: str = "assigned", language: str = "en") -> Path:
    file = folder / language / template / part
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    return folder


def test_an_own_part_stands_in_place_of_ours(tmp_path: Path):
    words = strictly("assigned", FACTS, "en", own(tmp_path, "Do {{ task.title }}: {{ link | web_link }}"))
    assert words.text == "Do Block the sender: https://casewright.example/\n"
    assert words.subject == "[CASE-42] For you: Block the sender"
    assert "Do Block the sender" in words.html, "the HTML says what the text says"
    assert '<a href="https://casewright.example/">' in words.html


def test_a_language_of_ones_own(tmp_path: Path):
    for part in ("subject.txt", "text.txt", "sms.txt"):
        own(tmp_path, "Tâche: {{ task.title }}", part, language="fr")
    assert strictly("assigned", FACTS, "fr-CA", tmp_path).subject == "Tâche: Block the sender"
    assert strictly("overdue", FACTS, "fr-CA", tmp_path).subject.startswith("[CASE-42] Overdue")


def test_hostile_facts_are_escaped_in_own_html_too(tmp_path: Path):
    folder = own(tmp_path, "<b>{{ task.title }}</b>", "body.html")
    words = strictly("assigned", {**FACTS, "task": {"title": "<script>", "stage": "x"}}, "en", folder)
    assert words.html == "<b>&lt;script&gt;</b>"


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_time_and_memory(tmp_path: Path, name: str):
    folder, begun = own(tmp_path, BOMBS[name]), time.monotonic()
    with pytest.raises(RenderRefused) as refused:
        strictly("assigned", FACTS, "en", folder)
    took = time.monotonic() - begun
    assert took < WALL + 2, "the limit, and the start of a process on a busy machine"
    assert "next: " in refused.value.diagnostics()
    assert "assigned/text.txt" in str(refused.value)
    assert render("assigned", FACTS, "en", folder).text.startswith("Ana, a task waits"), "ours speaks instead"


@pytest.mark.parametrize("broken", ["a folder nobody may read", "a machine that starts no process"])
def test_what_this_machine_does_not_do_is_said_and_ours_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
):
    folder, is_file = own(tmp_path, "Do {{ task.title }}"), Path.is_file

    def denied(path: Path) -> bool:
        if path.is_relative_to(tmp_path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return is_file(path)

    def exhausted(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    if broken.startswith("a folder"):
        monkeypatch.setattr(Path, "is_file", denied)
    else:
        monkeypatch.setattr(subprocess, "run", exhausted)
    with pytest.raises(RenderRefused) as refused:
        strictly("assigned", FACTS, "en", folder)
    assert "next: " in refused.value.diagnostics()
    assert render("assigned", FACTS, "en", folder).text.startswith("Ana, a task waits")
    [said] = [one.getMessage() for one in caplog.records]
    assert ("chmod" in said) or ("ulimit" in said)


def test_every_file_is_checked_and_told_with_its_line(tmp_path: Path):
    own(tmp_path, "fine {{ task.title }}")
    own(tmp_path, "one\n{% include 'x' %}", template="overdue")
    own(tmp_path, "{{ digest.count }} {{ case.number }}", "subject.txt", "digest")
    own(tmp_path, "x", "body.htm", "alarm")
    own(tmp_path, "x", "text.txt", "postcard")
    (tmp_path / "en" / "warning").mkdir(parents=True)
    (tmp_path / "en" / "warning" / "text.txt").write_bytes(b"\xff\xfe")
    found = "\n".join(check(tmp_path))
    for told in (
        "overdue/text.txt:2: templates know no include",
        "there is no fact 'case'",
        "no such part",
        "there is no message 'postcard'",
        "warning/text.txt: it cannot be read",
    ):
        assert told in found
    assert len(found.splitlines()) == 5


def test_no_folder_of_ones_own_is_nothing_wrong(tmp_path: Path):
    assert list(check(tmp_path / "nowhere")) == []
    assert render("assigned", FACTS, "en", tmp_path / "nowhere").subject == "[CASE-42] For you: Block the sender"


@pytest.mark.parametrize(("size", "fits"), [(MEMORY // 4, True), (MEMORY, False)])
def test_the_process_gets_no_more_memory(size: int, fits: bool):
    code = f"from notifiers.filling import limit; limit(); bytearray({size})"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is fits, done.stderr
    assert fits or "MemoryError" in done.stderr


def test_the_process_gets_no_more_time():
    with pytest.raises(RenderRefused, match=r"needs more than 2 s of work|longer than 3 s"):
        fill_apart({"text.txt": ("mine", BOMBS["nested loops that say nothing"])}, FACTS)
