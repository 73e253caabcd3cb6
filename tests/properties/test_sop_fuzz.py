"""Whatever is in a file, reading it ends in an SOP or in `SopRefused`; whatever is in a condition, it ends as well."""

import json
import re
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given
from hypothesis import strategies as st

from sop.checks import check
from sop.conditions import evaluate, names, parameters
from sop.durations import format_duration, parse_duration
from sop.errors import ConditionFailed, ConditionRefused, SopRefused
from sop.library import inspect
from sop.loader import LoadedSop, load, loads
from sop.roles import loads_roles
from sop.schema import schema

VALID = """\
sop: stolen-laptop
version: 3
title: A laptop is gone   # by theft or loss
severity: high
match: alert.title.contains("laptop")
stages:
  - key: report
    title: "Take the report"
    sla: 4h
    tasks:
      - key: call-owner
        title: Call the owner back
        owner: role:tier1
        sla: 30m
        instructions: |
          1. Ask **when** and where.
          2. Ask what was on it: "anything secret?"
        form:
          where: {type: choice, options: [Train, 'Office'], required: true}
          encrypted: {type: yesno}
        note_required: true
      - key: collect
        title: Collect addresses
        action: observables.extract
        with: {evidence: alert.raw, limits: [1, 2.5, true, null]}
        retries: 2
        depends_on: [call-owner]
  - key: wipe
    title: Wipe
    when: >-
      tasks.call_owner.where == "Train"
      || !has(tasks.call_owner.encrypted)
    tasks:
      - key: approve
        title: Approve the wipe
        mandatory: true
        approval: {from: role:manager, not_requester: true}
"""
ROLES, ACTIONS = {"analyst", "tier1", "manager"}, {"observables.extract"}

yaml_pieces = st.sampled_from([
    "sop", "stages", "tasks", "key", "title", "form", "with", "when", "- ", ": ", ":", "\n", "\n  ", "\n    ", "\t",
    "&a ", "*a", "<<: ", "!x ", "!!int ", "| ", "|\n", ">-\n", "'", '"', "\\", "{", "}", "[", "]", ",", "? ", "#", " #",
    "---\n", "...\n", "%YAML 1.1\n", "%TAG ! x\n", "null", "~", "true", "1", "0x1F", "1e999", "-.inf", "\x00", "\x85",
    "\ufeff", "\u2028", "é", "😀", "\ud800", "@", "`", "tasks.a", "==", "2026-01-01", "12:30",
])  # fmt: skip
cel_pieces = st.sampled_from([
    "tasks", "case", "alert", "observables", "x", ".a", ".b-c", "[0]", '["ip"]', "'x'", '"x"', 'r"\\d"', "b'x'", "1",
    "1.5", "0x1F", "null", "true", "&&", "||", "!", "-", "(", ")", "[", "]", "{", "}", ":", ",", "?", " in ", "==",
    "=", "<", "+", "*", "/", "%", "has(", ".map(x, ", ".exists(x, ", ".all(", ".first(", ".join(", "size(",
    ".matches(", "'", '"', "\\", "//", "\n", "é", "\x00", "\ud800", "timestamp(", "duration('1h')", "9" * 30,
])  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
names_of_fields = st.sampled_from([
    *schema()["properties"], *(name for part in schema()["$defs"].values() for name in part.get("properties", {})),
])  # fmt: skip


def read(text: str) -> LoadedSop | None:
    """Load a text; None when it is refused, with problems that each have a line of the text and a next step."""
    loaded, problems = None, []
    try:
        loaded = loads(text, "it.yaml")
        further = check(loaded, ROLES, ACTIONS)
    except SopRefused as refused:
        problems = refused.problems
        further = check(refused.readable, ROLES, ACTIONS) if refused.readable else []
    assert (loaded is None) == bool(problems)
    for problem in [*problems, *further]:
        assert 1 <= problem.line <= len(re.findall(r"\r\n|\r|\n", text)) + 1, problem
        assert problem.message
        assert problem.next_step
        assert "\n" not in str(problem)
        assert len(str(problem)) < 1_000
    return loaded


def test_the_example_is_an_sop_without_problems():
    loaded = read(VALID)

    assert loaded is not None
    assert check(loaded, ROLES, ACTIONS) == []


@given(st.binary(max_size=400))
@example(b"\xff\xfes\x00o\x00p\x00")
@example(b"sop: \xfc")
def test_bytes_are_an_sop_or_refused(content):
    with TemporaryDirectory() as folder:
        file = Path(folder) / "it.yaml"
        file.write_bytes(content)
        try:
            load(file)
        except SopRefused:
            assert inspect(file, ROLES, ACTIONS)


@given(st.text(max_size=300))
@example("a: 1\x85b: 2\u2028c: *d")
@example("\ud800")
def test_text_is_an_sop_or_refused(text):
    read(text)


@given(st.lists(yaml_pieces, max_size=40).map("".join))
@example("? [a, b]\n: c")
@example("- " * 60)
@example("[" * 60)
@example("a: &a [*a]")
@example("!<\n")
def test_pieces_of_yaml_are_an_sop_or_refused(text):
    read(text)


@given(st.data())
def test_a_mutated_sop_is_an_sop_or_refused(data):
    text = VALID
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.lists(yaml_pieces, max_size=3).map("".join)) + text[end:]
    read(text)


@given(st.data())
def test_an_sop_with_lines_gone_moved_or_repeated_is_an_sop_or_refused(data):
    lines = VALID.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        position, other = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        change = data.draw(st.sampled_from(["drop", "repeat", "indent", "swap"]))
        if change == "drop" and len(lines) > 2:
            del lines[position]
        elif change == "repeat":
            lines.insert(other, lines[position])
        elif change == "indent":
            lines[position] = data.draw(st.sampled_from([" ", "  ", "\t"])) + lines[position]
        else:
            lines[position], lines[other] = lines[other], lines[position]
    read("".join(lines))


@given(st.data())
def test_an_sop_with_other_values_is_an_sop_or_refused(data):
    loaded = loads(VALID)
    document = json.loads(loaded.sop.model_dump_json(by_alias=True, exclude_unset=True))
    for _ in range(data.draw(st.integers(1, 3))):
        place = document
        while True:
            step = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if isinstance(place[step], dict | list) and place[step] and data.draw(st.booleans()):
                place = place[step]
                continue
            break
        if isinstance(place, dict) and data.draw(st.booleans()):
            step = data.draw(names_of_fields)
        place[step] = data.draw(json_values)
    read(json.dumps(document, indent=1))  # JSON is YAML


@given(st.lists(cel_pieces, max_size=14).map("".join))
def test_a_condition_has_an_answer_or_says_why_not(text):
    scope = {"case": {"number": 1}, "alert": None, "tasks": {"a": {"a": [1, "x"]}}, "observables": {"ip": ["::1"]}}
    said = None
    try:
        said = isinstance(names(text), frozenset) and evaluate(text, scope) in (True, False)
    except (ConditionRefused, ConditionFailed) as error:
        said = bool(str(error)) and bool(error.next_step)
    assert said


@given(json_values, st.dictionaries(st.sampled_from(["case", "alert", "tasks", "observables", "x"]), json_values))
def test_parameters_are_json_or_say_why_not(value, scope):
    try:
        found = parameters({"it": value}, scope)
    except (ConditionRefused, ConditionFailed) as error:
        found = {"why": error.diagnostics()}
    assert json.loads(json.dumps(found)) == found


@given(st.lists(cel_pieces, max_size=12).map("".join))
def test_an_sop_with_any_condition_can_be_checked(text):
    line = json.dumps(text)
    read(VALID.replace('alert.title.contains("laptop")', line).replace("alert.raw", line))


@given(st.integers(1, 9_000_000))
def test_a_duration_is_read_as_it_was_written(seconds):
    duration = timedelta(seconds=seconds)

    assert parse_duration(format_duration(duration)) == duration


@given(st.lists(yaml_pieces, max_size=20).map("".join))
def test_roles_are_titles_or_refused(text):
    try:
        said = list(loads_roles(text).values())
    except SopRefused as refused:
        said = [problem.next_step for problem in refused.problems]
    assert all(isinstance(one, str) and one for one in said)
