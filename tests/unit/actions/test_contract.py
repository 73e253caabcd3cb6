"""What an action may give back, and how it says that it did not work."""

from datetime import timedelta

import pytest

from flows.actions.contract import ActionError, ActionFailed, BadResult, OutcomeUnknown, Result, TryAgain


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"two words": 1}, "'two words'"),
        ({"": 1}, "''"),
        ({"state": "done"}, "'state'"),
        ({"note": "x"}, "'note'"),
        ({"when": timedelta(1)}, "not JSON"),
        ({"score": float("nan")}, "not JSON"),
        ({"text": "x" * 70_000}, "at most 65536"),
    ],
)
def test_fields_that_cannot_go_on_record_are_refused_where_they_are_returned(fields, reason):
    with pytest.raises(BadResult, match=reason) as refused:
        Result(fields=fields)
    assert refused.value.next_step


def test_a_severity_that_does_not_exist_is_refused():
    with pytest.raises(BadResult, match="'urgent'"):
        Result(severity="urgent")


def test_fields_that_conditions_can_read_are_kept():
    result = Result(fields={"score": 0.5, "hits": [1, {"a": None}], "größe": True}, severity="high")
    assert result.fields["score"] == 0.5


def test_a_bad_result_does_not_claim_that_nothing_happened():
    """The action may have had its effect before it returned nonsense; so it is neither of the three ways to end."""
    assert not issubclass(BadResult, (ActionFailed, TryAgain, OutcomeUnknown))
    assert issubclass(BadResult, ActionError)


@pytest.mark.parametrize("error", [ActionFailed, TryAgain, OutcomeUnknown])
def test_an_error_tells_its_reason_and_the_next_step(error):
    assert error("the mailbox is gone", next_step="restore it").diagnostics() == (
        "the mailbox is gone\n  next: restore it"
    )
    assert error("the mailbox is gone").next_step


def test_an_error_may_say_when_to_come_back():
    assert TryAgain("busy", after=timedelta(seconds=30)).after == timedelta(seconds=30)
    assert TryAgain("busy").after is None
