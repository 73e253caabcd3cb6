"""Rules that the folder of broken SOPs has no file for."""

import pytest

from sop.errors import SopRefused
from sop.loader import loads

TEXT = """\
sop: a
version: 1
title: A
stages:
  - key: one
    title: One
    tasks:
      - {key: first, title: First}
      - {key: second, title: Second}
  - key: two
    title: Two
    tasks:
      - {key: third, title: Third}
"""


@pytest.mark.parametrize(
    ("right", "wrong", "line", "said"),
    [
        ("key: two", "key: one", 10, "two stages with the key 'one'"),
        ("title: First", "title: First, depends_on: [third]", 8, "is in a later stage"),
        ("title: First", "title: First, depends_on: [second, second]", 8, "is named twice here"),
        ("title: First", "title: First, depends_on: [first]", 8, "depends on itself"),
        ("key: second", "key: first", 9, "already a task with the key 'first', in the stage 'one'"),
        ("key: first", "key: in", 8, "Conditions cannot say tasks.in"),
        ("title: First", 'title: First, form: {"null": {type: text}}', 8, "cannot name a field 'null'"),
        ("title: First", "title: First, form: {a: {type: choice, options: [x, x]}}", 8, "is there twice"),
        ("title: First", "title: First, form: {}", 8, "'form' has no entries"),
        (
            "title: First",
            "title: First, approval: {from: user:ada}, form: {a: {type: text}}",
            8,
            "yes or no, not for a form",
        ),
        ("title: First", "title: First, with: {a: case.title}", 8, "Only a task with an action has 'with'"),
    ],
)
def test_is_refused(right, wrong, line, said):
    with pytest.raises(SopRefused) as caught:
        loads(TEXT.replace(right, wrong), "it.yaml")

    assert [(problem.line, said in problem.message) for problem in caught.value.problems] == [(line, True)]


def test_two_circles_of_one_stage_are_two_problems():
    tasks = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "e"), ("e", "c"), ("f", "a")]
    lines = "".join(f"      - {{key: {key}, title: T, depends_on: [{other}]}}\n" for key, other in tasks)

    with pytest.raises(SopRefused) as caught:
        loads(TEXT + lines)

    assert [(problem.line, problem.message) for problem in caught.value.problems] == [
        (14, "The tasks wait for each other: a, b and again a."),
        (16, "The tasks wait for each other: c, d, e and again c."),
    ]
