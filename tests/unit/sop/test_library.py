"""The folders of SOPs: ours first, one's own replace them, and a broken file stops only itself."""

import os
import re
from pathlib import Path

import pytest

from sop import library
from sop.errors import SopRefused, UnknownSop
from sop.library import BUILT_IN, Library, directories, inspect
from sop.roles import load_roles, loads_roles

SOP = """\
sop: {key}
version: 1
title: A laptop is gone
stages:
  - key: report
    title: Take the report
    tasks:
      - {{key: call, title: Call the owner back, owner: "role:{role}"}}
"""


@pytest.fixture(autouse=True)
def _actions(monkeypatch):
    """The built-in actions are there, whether or not the project itself is installed."""
    built_in = re.findall(r"action: ([\w.]+)", "".join(file.read_text("utf-8") for file in BUILT_IN.glob("*.yaml")))
    monkeypatch.setattr(library, "names", lambda modules=(): {*built_in})


def write(folder: Path, name: str, key: str, role: str = "tier1") -> Path:
    file = folder / name
    file.write_text(SOP.format(key=key, role=role))
    return file


def test_ours_come_first_then_the_folders_of_the_setting(tmp_path):
    other = Path("~/sops").expanduser()

    assert directories() == directories("") == [BUILT_IN]
    assert directories(os.pathsep.join([str(tmp_path), "", "~/sops", str(tmp_path)])) == [BUILT_IN, tmp_path, other]
    assert directories([tmp_path]) == [BUILT_IN, tmp_path]


def test_ours_can_all_be_used():
    loaded = Library.load()

    assert set(loaded.sops) == {"phishing", "ransomware", "ssh-bruteforce", "lost-device"}
    assert loaded.roles["analyst"]


def test_an_sop_of_ones_own_replaces_ours_and_brings_its_roles(tmp_path):
    file = write(tmp_path, "mine.yaml", "phishing", role="guard")
    (tmp_path / "roles.yaml").write_text("guard: The guard at the door\n")

    loaded = Library.load(directories([tmp_path]))

    assert loaded.get("phishing").source == str(file)
    assert loaded.roles["guard"] == "The guard at the door"
    assert "ransomware" in loaded.sops


def test_calendars_lie_beside_the_sops_that_name_them(tmp_path):
    file = write(tmp_path, "mine.yaml", "mine", role="analyst")
    file.write_text(file.read_text().replace("version: 1\n", "version: 1\nhours: office\n"))
    assert [one.line for one in Library.survey(directories([tmp_path])).problems] == [3]  # nobody knows these hours
    (tmp_path / "calendars.yaml").write_text("office: {zone: UTC, hours: {mon-fri: 08:00-17:00}}\n")
    assert Library.load(directories([tmp_path])).get("mine").sop.hours == "office"
    (tmp_path / "calendars.yaml").write_text("office: {zone: UTC, hours: {mon-fri: 8-17}}\n")
    sources = [Path(one.source).name for one in Library.survey(directories([tmp_path])).problems]
    assert sources == ["calendars.yaml", "mine.yaml"]


def test_a_broken_file_stops_only_itself(tmp_path):
    write(tmp_path, "good.yaml", "good")
    bad = write(tmp_path, "bad.yaml", "bad", role="nobody")
    (tmp_path / "worse.yaml").write_text("sop: [")

    surveyed = Library.survey(directories([tmp_path, tmp_path / "nowhere"]))

    assert {"good", "phishing"} <= surveyed.sops.keys()
    assert "bad" not in surveyed.sops
    sources = [problem.source for problem in surveyed.problems]
    assert sources == [str(bad), str(tmp_path / "nowhere"), str(tmp_path / "worse.yaml")]
    with pytest.raises(SopRefused) as caught:
        Library.load(directories([tmp_path, tmp_path / "nowhere"]))
    assert caught.value.problems == list(surveyed.problems)


def test_two_of_ones_own_with_the_same_key_are_a_problem(tmp_path):
    first, second = write(tmp_path, "a.yaml", "mine"), write(tmp_path, "b.yaml", "mine")

    surveyed = Library.survey([tmp_path])

    assert [(problem.source, problem.line) for problem in surveyed.problems] == [(str(second), 1)]
    assert str(first) in surveyed.problems[0].next_step


def test_an_unknown_sop_is_refused_with_the_one_that_was_meant():
    with pytest.raises(UnknownSop, match="There is no SOP 'fishing'") as caught:
        Library.load().get("fishing")

    assert caught.value.next_step == "Did you mean 'phishing'?"


def test_a_file_is_inspected_in_one_go(tmp_path):
    file = write(tmp_path, "it.yaml", "it", role="nobody")
    assert [problem.line for problem in inspect(file, {"tier1", "analyst"}, set())] == [8]

    file.write_text(file.read_text().replace("version: 1", "version: one"))
    assert [problem.line for problem in inspect(file, {"tier1", "analyst"}, set())] == [2, 8]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("- tier1\n", 1, "There are no roles here"),
        ("tier1: Tier 1\nTier 2: Tier 2\n", 2, "'Tier 2' is not a role's key"),
        ("tier1: Tier 1\ntier2:\n", 2, "The role 'tier2' has no title"),
        ("tier1: Tier 1\ntier1: Tier 2\n", 2, "is there twice"),
        ("tier1: *x\n", 1, "The alias"),
        ("", 1, "The file is empty"),
    ],
)
def test_roles_that_are_none_are_refused(text, line, said):
    with pytest.raises(SopRefused) as caught:
        loads_roles(text)

    assert [(problem.line, said in problem.message) for problem in caught.value.problems] == [(line, True)]


def test_roles_of_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SopRefused, match=r"roles\.yaml:1: This cannot be read"):
        load_roles(tmp_path / "roles.yaml")
