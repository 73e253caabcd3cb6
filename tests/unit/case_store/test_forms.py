"""Answers to a form: one JSON value each, or every problem at once."""

from datetime import UTC, date, datetime

import pytest
from jsonschema import Draft202012Validator

from case_store import forms
from case_store.forms import FormRefused
from sop.model import FormField

FORM = {
    "verdict": FormField(type="choice", options=("phishing", "spam", "benign"), required=True, label="What is it?"),
    "targets": FormField(type="multichoice", options=("finance", "board, council", "it"), help="All that were written"),
    "reported": FormField(type="yesno", required=True),
    "count": FormField(type="number"),
    "summary": FormField(type="text"),
    "story": FormField(type="longtext"),
    "day": FormField(type="date"),
    "moment": FormField(type="datetime"),
}
LEAST = {"verdict": "spam", "reported": False}


def problems(**values: object) -> list[str]:
    with pytest.raises(FormRefused) as refused:
        forms.read(FORM, LEAST | values)
    return refused.value.problems


def test_every_field_has_a_value_and_unanswered_ones_are_null() -> None:
    """A condition may then ask `tasks.x.count == null` instead of failing on a missing name."""
    assert forms.read(FORM, LEAST) == {
        "verdict": "spam",
        "targets": None,
        "reported": False,
        "count": None,
        "summary": None,
        "story": None,
        "day": None,
        "moment": None,
    }


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("targets", ["it", "finance"], ["finance", "it"]),
        ("targets", "it, finance", ["finance", "it"]),
        ("targets", "board, council", ["board, council"]),
        ("targets", [], None),
        ("reported", "Yes", True),
        ("reported", "false", False),
        ("count", "12", 12),
        ("count", 12.0, 12),
        ("count", "3.5", 3.5),
        ("summary", "  one line ", "one line"),
        ("story", "two\r\nlines\n", "two\nlines"),
        ("day", "2026-01-31", "2026-01-31"),
        ("day", date(2026, 1, 31), "2026-01-31"),
        ("moment", "2026-01-31T10:30:00+01:00", "2026-01-31T09:30:00+00:00"),
        ("moment", datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00+00:00"),
        ("summary", "  ", None),
    ],
)
def test_answers_are_read_as_the_type_of_their_field(field: str, given: object, kept: object) -> None:
    assert forms.read(FORM, LEAST | {field: given})[field] == kept


@pytest.mark.parametrize(
    ("field", "given", "reason"),
    [
        ("verdict", "ham", "'ham' is not one of: phishing, spam, benign"),
        ("verdict", None, "an answer is required, one of: phishing, spam, benign"),
        ("verdict", ["spam"], "is not one of"),
        ("targets", ["it", "hr"], "'hr' is not one of"),
        ("targets", {"it": 1}, "is not one of"),
        ("reported", "perhaps", "answer yes or no"),
        ("reported", 1, "answer yes or no"),
        ("count", "many", "must be a number"),
        ("count", True, "must be a number"),
        ("count", "nan", "must be a number"),
        ("count", 10**400, "must be a number"),
        ("summary", "two\nlines", "must be one line"),
        ("summary", "x" * 1001, "has 1001 characters; at most 1000"),
        ("summary", 5, "must be text"),
        ("story", "a\x00b", "cannot be kept"),
        ("story", "a\ud800b", "cannot be kept"),
        ("day", "31.01.2026", "must be a date such as 2026-01-31"),
        ("moment", "2026-01-31T09:30:00", "must be a time with its offset"),
        ("moment", "tomorrow", "must be a time with its offset"),
        ("colour", "red", "the form has no such field; it has verdict, targets"),
    ],
)
def test_wrong_answers_are_refused_with_field_and_reason(field: str, given: object, reason: str) -> None:
    (problem,) = problems(**{field: given})
    assert problem.startswith(f"{field}: ")
    assert reason in problem


def test_all_problems_are_said_at_once() -> None:
    assert len(problems(verdict="ham", count="many", colour="red")) == 3


def test_answers_to_a_task_without_a_form() -> None:
    assert forms.read({}, {}) == {}
    with pytest.raises(FormRefused, match="it has no fields"):
        forms.read({}, {"verdict": "spam"})


def test_the_description_is_a_json_schema_that_agrees_with_the_reader() -> None:
    schema = forms.json_schema(FORM)
    validator = Draft202012Validator(schema)
    validator.check_schema(schema)
    assert validator.is_valid(LEAST | {"targets": ["it"], "count": 3.5})
    assert not validator.is_valid(LEAST | {"targets": ["hr"]})
    assert not validator.is_valid({"verdict": "spam"})
    assert schema["properties"]["verdict"]["title"] == "What is it?"
    assert schema["properties"]["targets"]["description"] == "All that were written"
    assert schema["properties"]["day"] == {"title": "Day", "type": "string", "format": "date"}
