"""Checks that need the actions themselves, or that nothing in the folder of broken SOPs shows."""

import pytest

from sop.actions import action, spec_of
from sop.checks import check
from sop.loader import loads

TEXT = """\
sop: a
version: 1
title: A
match: {match}
stages:
  - key: one
    title: One
    tasks:
      - key: ask
        title: Ask
        form:
          many: {{type: multichoice, options: [A, B]}}
          count: {{type: number}}
          free: {{type: text}}
      - key: between
        title: Between
        depends_on: [ask]
      - key: act
        title: Act
        depends_on: [between]
        when: {when}
        action: mail.block
        with: {with_}
"""


@action(name="mail.block", idempotent=True)
def block(context, address, reason=""):
    """Block."""


def messages(
    when: str = "tasks.ask.free == 'x'", with_: str = "{address: case.title}", match: str = "'true'"
) -> list[str]:
    loaded = loads(TEXT.format(when=when, with_=with_, match=match))
    found = check(loaded, {"analyst"}, {"mail.block"}, {"mail.block": spec_of(block)})
    return [f"{problem.message} {problem.next_step}" for problem in found]


@pytest.mark.parametrize(
    "when",
    [
        "tasks.ask.free == 'anything'",
        "'A' in tasks.ask.many && tasks.ask.count > 3",
        "tasks.ask.many.exists(one, one == 'A')",
        "tasks.between.state in ['done', 'skipped']",
        "has(alert.fields.anything.at.all)",
        "observables.first('ip') != null && case.severity == 'high'",
        "size(tasks) > 0",
    ],
)
def test_conditions_that_can_be_answered(when):
    assert messages(when=f'"{when}"') == []


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("'C' in tasks.ask.many", "'C' is not among the options of tasks.ask.many. There are the options A and B."),
        ("tasks.ask.count == '3'", "Write the number without quotes."),
        ("tasks.between.state in ['done', 'skiped']", "Did you mean 'skipped'?"),
        ("tasks.ask.free || case.severity == 'high'", "tasks.ask.free is neither true nor false."),
        ("tasks.ask", "tasks.ask is the whole task, not a value."),
        ("tasks.act.state == 'done'", "The task 'act' may not be closed by then."),
        ("case.severrity == 'high'", "Did you mean 'severity'?"),
        ("true", "The condition is always true. Remove it."),
        ("'x'", "neither true nor false"),
        ("case.title.lower() == 'x'", "Did you mean 'lowerAscii'?"),
        ("verdict == 'x'", "Text needs quotes: 'verdict'."),
    ],
)
def test_conditions_that_cannot(when, said):
    found = messages(when=f'"{when}"')

    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    ("with_", "said"),
    [
        ("{addr: case.title, address: case.title}", "has no parameter 'addr'. Did you mean 'address'?"),
        ("{reason: case.title}", "needs the parameter 'address'. Add `address: …` under `with`."),
        ("{address: [case.nothing]}", "There is no case.nothing."),
        ("{address: tasks.act.result}", "The task 'act' may not be closed by then."),
    ],
)
def test_parameters(with_, said):
    found = messages(with_=with_)

    assert len(found) == 1
    assert said in found[0]


def test_an_sop_that_matches_every_alert_is_fine_and_one_that_matches_none_is_not():
    assert messages(match="'true'") == []
    assert "it can never match an alert" in messages(match="'false'")[0]
