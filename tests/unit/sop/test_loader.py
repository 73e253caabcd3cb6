"""Reading SOP files: what is kept, what is refused, and that everything is said at once."""

from datetime import timedelta
from hashlib import sha256

import pytest

from sop.checks import check
from sop.errors import SopRefused
from sop.loader import load, load_directory, loads
from sop.model import Task

TEXT = """\
sop: stolen-laptop
version: 3
title: A laptop is gone
stages:
  - key: report
    title: Take the report
    tasks:
      - key: call-owner
        title: Call the owner back
        sla: 1h30m
        form:
          where: {type: choice, options: [no, on, 12:30, 2026-01-31]}
      - key: collect
        title: Collect addresses
        action: observables.extract
        with:
          evidence: alert.raw
          limits: {most: 5, kinds: ["'ip'"], deep: true}
        depends_on:
          - call-owner
"""


def refusal(text: str) -> SopRefused:
    with pytest.raises(SopRefused) as caught:
        loads(text, "it.yaml")
    return caught.value


def test_yaml_1_1_does_not_change_what_the_author_sees():
    assert loads(TEXT).sop.task("call-owner").form["where"].options == ("no", "on", "12:30", "2026-01-31")


def test_parameters_are_kept_as_they_are():
    assert loads(TEXT).sop.task("collect").with_ == {
        "evidence": "alert.raw",
        "limits": {"most": 5, "kinds": ["'ip'"], "deep": True},
    }


def test_it_knows_the_line_of_each_element():
    loaded = loads(TEXT)

    assert loaded.line("version") == 2
    assert loaded.line("stages", 0, "tasks", 0) == 8
    assert loaded.line("stages", 0, "tasks", 1, "with", "limits", "kinds", 0) == 18
    assert loaded.line("stages", 0, "tasks", 1, "depends_on", 0) == 20


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_editors_count_them(end):
    text = (
        TEXT.replace("A laptop is", "A laptop\u2028is\x85").replace("key: collect", "kee: collect").replace("\n", end)
    )

    assert [problem.line for problem in refusal(text).problems] == [13, 13]
    assert [problem.line for problem in refusal("a: 'b\u2028c'\n\tb: *c").problems] == [2]


def test_an_element_that_is_not_there_has_the_line_of_what_it_would_be_in():
    assert loads(TEXT).line("stages", 0, "tasks", 1, "approval", "from") == 13


@pytest.mark.parametrize("text", [TEXT, "\ufeff" + TEXT, TEXT.replace("\n", "\r\n")], ids=["plain", "bom", "crlf"])
def test_the_digest_is_of_the_bytes_and_the_text_gives_the_same_again(tmp_path, text):
    file = tmp_path / "it.yaml"
    file.write_bytes(text.encode())

    loaded = load(file)

    assert loaded.digest == sha256(text.encode()).hexdigest()
    assert loads(loaded.text).digest == loaded.digest
    assert loads(loaded.text).sop == loaded.sop
    assert loaded.source == str(file)


def test_nothing_of_an_sop_can_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        loads(TEXT).sop.title = "Another"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, "manual"),
        ({"form": {"a": {"type": "text"}}}, "form"),
        ({"action": "note.add"}, "action"),
        ({"approval": {"from": "role:manager"}}, "approval"),
        ({"approval": {"from": "role:manager"}, "action": "note.add"}, "approval"),
    ],
)
def test_the_kind_of_a_task(given, kind):
    assert Task.model_validate({"key": "it", "title": "It", **given}).kind == kind


def test_defaults_of_an_action():
    task = loads(TEXT).sop.task("collect")

    assert (task.retries, task.retry_delay, task.timeout) == (0, timedelta(seconds=10), timedelta(minutes=5))
    assert (task.owner, task.mandatory, task.note_required) == ("case-owner", False, False)


def test_stages_and_tasks_are_found_by_key():
    sop = loads(TEXT).sop

    assert sop.stage("report").title == "Take the report"
    assert [(stage.key, task.key) for stage, task in sop.tasks()] == [("report", "call-owner"), ("report", "collect")]
    with pytest.raises(KeyError, match="nothing"):
        sop.task("nothing")


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"", 1, "The file is empty"),
        (b"# nothing yet\n", 1, "The file is empty"),
        (b"- sop: a\n", 1, "An SOP is expected here"),
        (b"just text", 1, "An SOP is expected here"),
        (b"sop: a\ntitle: \xfcber\n", 2, "not UTF-8"),
        (b"sop: a\ntitle: a\x07b\n", 2, "U+0007"),
        (b"%YAML 1.1\n---\nsop: a\n", 2, "YAML 1.2"),
        (b"sop: &a a\n", 1, "The anchor &a"),
        (b"sop: a\nstages: " + b"[" * 60, 2, "deeper than 50 levels"),
        (b"sop: a\n" + b"#" * 256 * 1024, 1, "larger than 256 KiB"),
        (b"sop: a\nversion: " + b"9" * 5000, 2, "too large for a number"),
        (b"sop: a\nversion: .inf\n", 2, "not a number that can be used"),
        (b"sop: a\nversion: 0x10\n", 2, "a number in another base"),
    ],
)
def test_what_is_no_sop_at_all_is_refused(tmp_path, content, line, said):
    file = tmp_path / "it.yaml"
    file.write_bytes(content)

    with pytest.raises(SopRefused) as caught:
        load(file)

    assert any(problem.line == line and said in problem.message for problem in caught.value.problems)


def test_a_billion_laughs_are_not_counted():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]

    problems = refusal("\n".join(lines)).problems

    assert {problem.line for problem in problems} == set(range(1, 11))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SopRefused, match=r"nowhere\.yaml:1: This cannot be read: No such file") as caught:
        load(tmp_path / "nowhere.yaml")

    assert "Name a file that exists" in caught.value.problems[0].next_step


def test_problems_are_sorted_and_each_says_where_and_what_next():
    error = refusal(TEXT.replace("version: 3", "version: three").replace("title: Call", "tytle: Call"))

    said = error.diagnostics().splitlines()
    assert [problem.line for problem in error.problems] == [2, 8, 9]
    assert said[0].startswith("it.yaml:2: The field 'version' must be a whole number, not three. Write digits")
    assert said[-1].startswith("  next: ")


def test_thousands_of_problems_are_cut_short():
    error = refusal("".join(f"field{number}: 1\n" for number in range(500)))

    assert len(error.problems) == 504
    assert str(error).splitlines()[-1] == "… and 404 more."


def everything(text: str) -> list[tuple[int, str]]:
    """Return all problems of a text that is refused, those of the checks too."""
    error = refusal(text)
    further = check(error.readable, {"analyst"}, {"observables.extract"}) if error.readable else []
    return [(problem.line, problem.message) for problem in sorted([*error.problems, *further])]


def test_all_problems_of_one_task_are_said_at_once():
    text = TEXT.replace("        title: Call the owner back\n", "        owner: role:nobody\n") + (
        "        when: tasks.call_owner.wherever == tasks.call_ownr.where\n"
        "      - {key: last, tytle: Last, depends_on: [call-owner, nothing, last], timeout: 1m}\n"
    )

    assert everything(text) == [
        (8, "The field 'title' is missing."),
        (9, "There is no role 'nobody'."),
        (21, "The task 'call-owner' has no field 'wherever'."),
        (21, "There is no task 'call_ownr'."),
        (22, "Only a task with an action has 'timeout'."),
        (22, "The field 'title' is missing."),
        (22, "The task 'last' depends on itself."),
        (22, "There is no field 'tytle' in a task."),
        (22, "There is no task 'nothing' in this stage."),
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ("where: {type", "where: {typ", 12),
        ("form:\n", "from:\n", 11),
        ("        form:\n          where: {", "        form: {", 11),
        ("key: call-owner", "kee: call-owner", 8),
        ("action: observables", "acton: observables", 15),
        ("action: observables.extract", "action: Observables", 15),
        ("depends_on:\n          -", "depends_on:", 19),
        ("depends_on:", "dependson:", 19),
        ("- call-owner", "- Call owner", 20),
        ("- call-owner", "- *call", 20),
    ],
)
def test_what_is_only_not_known_is_not_complained_about(right, wrong, line):
    text = TEXT.replace(right, wrong) + "        when: tasks.call_owner.where == 'no'\n"
    assert text != TEXT

    assert {where for where, _ in everything(text)} == {line}


def test_what_cannot_be_read_is_complained_about_once():
    text = TEXT.replace("{type: choice", "&x {type: text").replace("sla: 1h30m", "sla: &y 90")

    assert everything(text) == [
        (10, "The anchor &y is not allowed in an SOP."),
        (12, "The anchor &x is not allowed in an SOP."),
    ]


def test_the_size_of_a_text_is_limited_too():
    assert [problem.message for problem in refusal("#" * 256 * 1024 + "ü").problems] == [
        "The file is larger than 256 KiB."
    ]


def test_a_stage_that_cannot_be_read_leaves_the_others():
    text = TEXT + "  - just text\n  - key: wipe\n    title: Wipe\n    tasks: [{key: wipe, title: Wipe, timeout: 1m}]\n"

    assert [problem.line for problem in refusal(text).problems] == [21, 24]


def test_a_directory_is_loaded_by_name_with_all_problems_at_once(tmp_path):
    (tmp_path / "b.yaml").write_text(TEXT.replace("stolen-laptop", "beta"))
    (tmp_path / "a.yml").write_text(TEXT.replace("stolen-laptop", "alpha"))
    (tmp_path / "roles.yaml").write_text("tier1: Tier 1\n")
    (tmp_path / "README.md").write_text("Ours.\n")
    assert [loaded.sop.key for loaded in load_directory([tmp_path])] == ["alpha", "beta"]

    (tmp_path / "c.yaml").write_text("sop: 1\n")
    (tmp_path / "d.yaml").write_text(TEXT.replace("stolen-laptop", "beta"))
    with pytest.raises(SopRefused) as caught:
        load_directory([tmp_path])

    said = {(problem.source.rsplit("/")[-1], problem.message) for problem in caught.value.problems}
    assert ("d.yaml", "There are two SOPs with the key 'beta'.") in said
    assert ("c.yaml", "The field 'sop' must be text, not 1.") in said


def test_the_default_of_a_field_that_cannot_be_read_is_not_complained_about():
    error = refusal(TEXT.replace("version: 3", "version: 3\nowner: Analysts"))

    assert [problem.line for problem in error.problems] == [3]
    assert check(error.readable, {"tier1"}, {"observables.extract"}) == []
