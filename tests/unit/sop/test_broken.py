"""Every broken SOP is refused on the right line, with a sentence that helps and no sentence too many."""

import re
from pathlib import Path

import pytest

from sop.library import BUILT_IN, inspect
from sop.roles import load_roles

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
ACTIONS = {"email.parse", "file.identify", "http.request", "note.add", "observables.extract", "severity.set"}
EXPECTED = re.compile(r"# expect: (\d+): (.+)")
ROLES = load_roles(BUILT_IN / "roles.yaml").keys()


def expectations(path: Path) -> list[tuple[int, str]]:
    found = map(EXPECTED.fullmatch, path.read_text("utf-8").splitlines())
    return sorted((int(one[1]), one[2]) for one in found if one)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_is_refused_with_line_and_next_step(path):
    problems = inspect(path, ROLES, ACTIONS)

    said = "\n".join(map(str, problems))
    assert [problem.line for problem in problems] == [line for line, _ in expectations(path)], said
    for line, phrase in expectations(path):
        assert any(f"{path}:{line}: " in str(problem) and phrase in str(problem) for problem in problems), said


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_every_message_is_a_sentence_and_every_next_step_too(path):
    for problem in inspect(path, ROLES, ACTIONS):
        assert re.fullmatch(r"[^\n]{15,200}\.", problem.message)
        assert re.fullmatch(r"[A-Z][^\n]{9,300}", problem.next_step)


def test_no_two_files_are_refused_for_the_same_reason():
    reasons = [tuple(phrase for _, phrase in expectations(path)) for path in BROKEN]

    assert len(BROKEN) >= 40
    assert len(set(reasons)) == len(reasons)
