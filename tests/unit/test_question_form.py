"""The form a person sees in the Prefect UI. Pure: no server is asked."""

from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from flows import question_form
from flows.question_form import Facts
from sop.model import Task

FORM = {"verdict": {"type": "choice", "options": ["good", "bad"], "required": True}}


def _task(**fields: Any) -> Task:
    return Task.model_validate({"key": "one", "title": "Do it", **fields})


def _facts(**changed: Any) -> Facts:
    facts = {
        "number": 12,
        "stage": "Look",
        "state": "open",
        "owner": "role analyst",
        "due_at": datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
        "parameters": None,
        "attempt": 1,
        "reason": None,
        "people": ["ana", "ben"],
    }
    return Facts(**{**facts, **changed})


@pytest.mark.parametrize(
    ("task", "state", "expected"),
    [
        (_task(), "open", ("done", "skip")),
        (_task(mandatory=True), "open", ("done",)),
        (_task(form=FORM), "open", ("done",)),
        (_task(approval={"from": "role:manager"}), "open", ("approve", "reject", "skip")),
        (_task(action="note.add"), "failed", ("retry", "done", "skip")),
        (_task(action="note.add", mandatory=True), "unknown_outcome", ("retry", "done")),
    ],
)
def test_offers_the_decisions_that_the_state_allows(task: Task, state: str, expected: tuple[str, ...]) -> None:
    assert question_form.decisions(task, state) == expected


@pytest.mark.parametrize(
    ("entered", "fits"),
    [
        ({"verdict": "good", "signed_by": "ana"}, True),
        ({"verdict": "good", "signed_by": "ana", "take_over": True, "note": "x"}, True),
        ({"verdict": "ugly", "signed_by": "ana"}, False),
        ({"signed_by": "ana"}, False),
        ({"verdict": "good"}, False),
        ({"verdict": "good", "signed_by": "nobody"}, False),
        ({"verdict": "good", "signed_by": "ana", "more": 1}, False),
    ],
)
def test_the_schema_takes_what_is_right_and_nothing_else(entered: dict[str, object], fits: bool) -> None:
    validator = jsonschema.Draft202012Validator(question_form.schema(_task(form=FORM), _facts()))
    assert validator.is_valid(entered) is fits


def test_a_note_that_the_sop_demands_is_demanded_by_the_form() -> None:
    assert "note" in question_form.schema(_task(note_required=True), _facts())["required"]


def test_shows_exactly_the_parameters_whatever_is_in_them() -> None:
    task = _task(approval={"from": "role:manager"}, action="http.request")
    shown = question_form.description(task, _facts(parameters={"url": "```\n# not a heading"}))
    assert "http.request will run with exactly these parameters" in shown
    fence = next(line for line in shown.splitlines() if line.startswith("````"))
    assert shown.count(f"\n{fence}") == 2


def test_says_that_an_action_without_its_parameters_cannot_run() -> None:
    task = _task(approval={"from": "role:manager"}, action="http.request")
    assert "cannot run" in question_form.description(task, _facts())


def test_says_why_it_is_asked_again() -> None:
    shown = question_form.description(_task(), _facts(attempt=2, reason="not yours"))
    assert "Asked again (attempt 2)" in shown
    assert "not yours" in shown


def test_reads_what_was_entered() -> None:
    raw = {"verdict": "bad", "signed_by": "ana", "note": ""}
    answer = question_form.read(_task(form=FORM), raw)
    assert (answer.decision, answer.signed_by, answer.take_over, answer.note) == ("done", "ana", False, None)
    assert answer.values == {"verdict": "bad"}
