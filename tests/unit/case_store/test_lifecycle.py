"""The state tables: what they allow, and how they refuse."""

import pytest

from case_store import lifecycle
from case_store.lifecycle import NotAllowedNow


def test_every_state_a_table_names_has_a_row_of_its_own() -> None:
    """A state that can be reached but has no row would have no way on, by accident."""
    for table in (*lifecycle.TABLES.values(), *lifecycle.REOPENED.values()):
        for followers in table.values():
            kinds = [kind for kind, other in lifecycle.TABLES.items() if followers <= other.keys()]
            assert kinds, f"unknown state among {followers}"


def test_the_closed_states_are_those_the_glossary_names() -> None:
    assert lifecycle.CLOSED["case"] == {"closed", "cancelled"}
    assert lifecycle.CLOSED["stage"] == {"done", "not_applicable", "cancelled"}
    assert lifecycle.CLOSED["task"] == {"done", "rejected", "skipped", "not_applicable", "cancelled"}


def test_an_unknown_outcome_is_never_run_again_without_a_person() -> None:
    """From `unknown_outcome` the engine has no way to `running`: only a person's retry leads back to `waiting`."""
    assert not lifecycle.allowed("task", "unknown_outcome", "running")
    assert lifecycle.allowed("task", "unknown_outcome", "waiting")


def test_a_refusal_names_the_thing_its_state_and_what_is_possible() -> None:
    with pytest.raises(NotAllowedNow) as refusal:
        lifecycle.check("task", "failed", "rejected", name="task 'block' of CASE-12")
    assert "task 'block' of CASE-12 is failed and cannot become rejected" in str(refusal.value)
    assert "possible from here: cancelled, done, running, skipped, waiting" in str(refusal.value)
    assert "next: " in refusal.value.diagnostics()


def test_only_reopening_leads_out_of_cancelled() -> None:
    with pytest.raises(NotAllowedNow, match="possible from here: nothing"):
        lifecycle.check("case", "cancelled", "open", name="CASE-1")
    lifecycle.check("case", "cancelled", "open", name="CASE-1", reopening=True)
    assert lifecycle.allowed("case", "cancelled", "open", reopening=True)


def test_a_state_that_does_not_exist_is_refused() -> None:
    with pytest.raises(NotAllowedNow):
        lifecycle.check("task", "forgotten", "done", name="task 'x'")
