"""`casewright task`: decisions by people, with the refusals that rules demand."""

import pytest

FORM = (
    "--set", "source_address=203.0.113.7",
    "--set", "source_kind=Unknown external address",
    "--set", "attempts=8",
    "--note", "looked it up",
)  # fmt: skip


def test_open_tasks_are_listed_for_their_owner(casewright, asked):
    number = asked("confirm-source", "search-estate")
    rows = casewright("task", "list", "--json").json["tasks"]
    assert [(row["case_number"], row["key"]) for row in rows] == [(number, "confirm-source"), (number, "search-estate")]
    assert set(rows[0]) == {
        "id", "case_number", "case_title", "severity", "key", "title", "kind", "state", "owner", "due_at", "overdue",
    }  # fmt: skip
    mine = casewright("task", "list", "--mine", "--json").json["tasks"]
    assert [row["key"] for row in mine] == ["confirm-source"]
    his = casewright("task", "list", "--owner", "tomas", "--json").json["tasks"]
    assert [row["key"] for row in his] == ["search-estate"]


def test_show_says_what_to_do_and_what_to_answer(casewright, asked):
    asked("confirm-source")
    shown = casewright("task", "show", "1/confirm-source").out
    assert "Look the source up in our inventory" in shown
    assert "source_address" in shown
    assert "Unknown external address | Machine of ours" in shown


def test_show_has_one_shape(casewright, asked):
    asked("confirm-source")
    page = casewright("task", "show", "1/confirm-source", "--json").json
    assert {"case", "stage", "id", "key", "state", "owner", "instructions", "form", "decision"} <= set(page)
    assert page["form"]["properties"]["attempts"]["type"] == "number"


def test_a_task_is_completed_with_its_form(casewright, asked):
    asked("confirm-source")
    said = casewright("task", "complete", "1/confirm-source", *FORM)
    assert (said.code, said.out) == (0, "1/confirm-source is done\n"), said.err
    task = casewright("task", "show", "1/confirm-source", "--json").json
    assert task["form_values"]["attempts"] == 8
    assert (task["signed_by"], task["decided_via"], task["note"]) == ("dana", "cli", "looked it up")


def test_a_task_is_named_by_its_id_too(casewright, asked):
    asked("confirm-source")
    task_id = casewright("task", "list", "--json").json["tasks"][0]["id"]
    assert casewright("task", "complete", task_id, *FORM).code == 0


def test_every_wrong_answer_is_told_and_the_task_still_waits(casewright, asked):
    asked("confirm-source")
    said = casewright("task", "complete", "1/confirm-source", "--set", "attempts=many", "--set", "colour=blue")
    assert said.code == 1
    assert "attempts: must be a number" in said.err
    assert "colour: the form has no such field" in said.err
    assert "source_kind: an answer is required" in said.err
    assert casewright("task", "show", "1/confirm-source", "--json").json["state"] == "open"


def test_the_second_is_told_who_was_first(casewright, asked):
    asked("confirm-source")
    casewright("task", "complete", "1/confirm-source", *FORM)
    said = casewright("task", "complete", "1/confirm-source", *FORM, "--as", "tomas", "--take-over")
    assert said.code == 1
    assert "already completed" in said.err
    assert "by dana via cli" in said.err


def test_somebody_elses_task_is_taken_over_first(casewright, asked):
    asked("search-estate")
    answers = ("--set", "other_servers=0", "--set", "other_success=no")
    said = casewright("task", "complete", "1/search-estate", *answers)
    assert said.code == 1
    assert "--take-over" in said.err
    assert casewright("task", "complete", "1/search-estate", *answers, "--take-over").code == 0
    told = [row["what"] for row in casewright("case", "timeline", "1", "--json").json["timeline"]]
    assert any(what.startswith("task taken over") for what in told)


def test_an_approval_is_given_by_those_who_may(casewright, asked):
    asked("approve-block", parameters={"body": "block 203.0.113.7"})
    said = casewright("task", "approve", "1/approve-block", "--take-over")
    assert said.code == 1
    assert "ask one of them" in said.err
    said = casewright("task", "approve", "1/approve-block", "--as", "irene")
    assert (said.code, said.out) == (0, "1/approve-block: decided; its action runs next\n")


def test_an_approval_is_refused(casewright, asked):
    asked("approve-block", parameters={"body": "block 203.0.113.7"})
    said = casewright("task", "reject", "1/approve-block", "--as", "irene", "--note", "a customer's address")
    assert (said.code, said.out) == (0, "1/approve-block is rejected\n"), said.err


def test_skipping_needs_a_reason_and_is_refused_where_the_sop_says_so(casewright, asked):
    asked("search-estate", "confirm-source")
    said = casewright("task", "skip", "1/confirm-source", "--reason", "no time")
    assert said.code == 1
    assert "next:" in said.err
    said = casewright("task", "skip", "1/search-estate", "--reason", "no logs that far back", "--as", "tomas")
    assert (said.code, said.out) == (0, "1/search-estate is skipped\n"), said.err


def test_a_task_that_went_well_is_not_retried(casewright, asked):
    asked("confirm-source")
    said = casewright("task", "retry", "1/confirm-source")
    assert said.code == 1
    assert "next:" in said.err


def test_a_task_is_given_to_somebody_else(casewright, asked):
    asked("confirm-source")
    said = casewright("task", "reassign", "1/confirm-source", "--to", "tomas")
    assert (said.code, said.out) == (0, "1/confirm-source now belongs to tomas\n")
    assert casewright("task", "list", "--json").json["tasks"][0]["owner"] == "tomas"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("confirm-source", "names no task"),
        ("/confirm-source", "names no task"),
        ("1/", "names no task"),
        ("1/nothing", "has no task 'nothing'"),
        ("9/confirm-source", "there is no case 9"),
        ("0190a0c2-0000-7000-8000-000000000000", "there is no task"),
    ],
)
def test_a_name_that_names_no_task_is_refused(casewright, asked, name, reason):
    asked()
    said = casewright("task", "show", name)
    assert said.code == 1
    assert reason in said.err
    assert "next:" in said.err


@pytest.mark.parametrize(
    ("sets", "reason"),
    [(("attempts",), "is not field=value"), (("=8",), "is not field=value"), (("a=1", "a=2"), "'a' is set twice")],
)
def test_set_is_field_equals_value_once(casewright, asked, sets, reason):
    asked("confirm-source")
    said = casewright("task", "complete", "1/confirm-source", *(word for one in sets for word in ("--set", one)))
    assert said.code == 1
    assert reason in said.err


def test_a_value_may_hold_an_equals_sign(casewright, asked):
    asked("confirm-source")
    said = casewright("task", "complete", "1/confirm-source", *FORM, "--set", "names_tried=a=b")
    assert said.code == 0, said.err
    assert casewright("task", "show", "1/confirm-source", "--json").json["form_values"]["names_tried"] == "a=b"
