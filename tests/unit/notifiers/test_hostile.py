"""A corpus of hostile case data through every message in every language, as letter and as text."""

import json
import subprocess
import sys

import pytest

from tests.unit.notifiers.hostile import HOSTILE
from tests.unit.notifiers.hostile_child import EATS, HANGS


def outcomes_of(*numbers: int) -> dict[int, str]:
    command = [sys.executable, "-m", "tests.unit.notifiers.hostile_child", *map(str, numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def outcomes() -> dict[int, str]:
    """What became of each entry, with three seconds and 256 MB each."""
    return outcomes_of(*range(len(HOSTILE)))


def test_the_corpus_is_a_hundred():
    assert len(HOSTILE) == len(set(HOSTILE)) == 100


@pytest.mark.parametrize("number", range(100))
def test_nothing_is_carried_out(outcomes: dict[int, str], number: int):
    assert outcomes[number] == "ok"


def test_what_hangs_or_takes_too_much_is_found_out():
    found = outcomes_of(HANGS, EATS)
    assert found[HANGS].startswith("ended by signal")
    assert "MemoryError" in found[EATS]
