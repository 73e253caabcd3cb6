"""Every event is a valid event of OCSF 1.8.0, by the compiled schema that somebody else ships."""

import json
from functools import cache

import jsonschema
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from case_store.audit.catalogue import AREAS
from case_store.audit.events import Subject
from case_store.audit.formats import FORMATS
from case_store.audit.formats.ocsf import VERSION
from tests.unit.case_store.formats.records import PERSON, ROW, SHA256, WITHHELD, record, recorded_types, variants


@cache
def schema():
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(VERSION))


@cache
def validator(class_uid, profiles):
    name = schema().lookup_class_name_from_uid(class_uid)
    return jsonschema.Draft202012Validator(schema().get_class_schema(name, list(profiles)))


def ocsf(one):
    return json.loads(FORMATS["ocsf"].line(one))


def problems(event):
    found = validator(event["class_uid"], tuple(event["metadata"]["profiles"])).iter_errors(event)
    return [f"{error.json_path}: {error.message[:200]}" for error in found]


def captions(event):
    """The captions that the schema has for the numbers of an event."""
    class_ = schema().schema.schema["classes"][schema().lookup_class_name_from_uid(event["class_uid"])]
    return {
        name: class_["attributes"][f"{name}_id"]["enum"][str(event[f"{name}_id"])]["caption"]
        for name in ("activity", "severity", "status")
    }


def test_the_code_records_the_types_that_we_know_it_does():
    """The search that the tests below stand on finds them: written out, made up from a state, handed on, in a table."""
    assert recorded_types() >= {"case.opened", "case.cancelled", "task.unknown_outcome", "task.skipped", "run.state"}
    assert recorded_types() >= {"notification.failed", "person.added", "person.changed", "task.retried", "note.revised"}


@pytest.mark.parametrize("type_", sorted(recorded_types()))
def test_every_event_that_the_code_records_is_valid(type_):
    for one in variants(type_):
        event = ocsf(one)
        assert problems(event) == []
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        said = {
            name: event[f"{name}_name" if name == "activity" else name] for name in ("activity", "severity", "status")
        }
        if event["activity_id"] == 99:
            said["activity"] = "Other"  # then the name is ours to give
        assert said == captions(event)


@pytest.mark.parametrize(
    "type_", ["privacy.erased", "sop.changed", "witness.cosigned", "x.y", "case.read", "person.erased"]
)
def test_events_of_kinds_that_are_not_known_yet_are_valid_too(type_):
    assert [problems(ocsf(one)) for one in variants(type_)] == [[]] * 5


def test_the_schema_bites():
    """What the test above relies on: a missing attribute, in depth too, a wrong number, type or constraint is found."""
    for spoil in (
        lambda event: event.pop("finding_info_list"),
        lambda event: event.pop("assignee_group"),
        lambda event: event["finding_info_list"][0].pop("uid"),
        lambda event: event["metadata"]["product"].clear(),
        lambda event: event["actor"]["user"].clear(),
        lambda event: event.update(status_id=77),
        lambda event: event.update(time="now"),
        lambda event: event.update(some_attribute="of ours"),
    ):
        event = ocsf(record("case.edited", subject=Subject("case", ROW, 2)))
        assert problems(event) == []
        spoil(event)
        assert problems(event) != []


@pytest.mark.parametrize(
    ("type_", "class_uid", "activity_id"),
    [
        ("case.opened", 2005, 1),
        ("case.edited", 2005, 2),
        ("case.closed", 2005, 3),
        ("case.completed", 2005, 3),
        ("case.cancelled", 2005, 3),
        ("case.reopened", 2005, 2),
        ("case.read", 6003, 2),
        ("task.planned", 3004, 1),
        ("task.opened", 3004, 10),
        ("task.done", 3004, 11),
        ("stage.started", 3004, 10),
        ("note.added", 3004, 1),
        ("person.added", 3001, 1),
        ("evidence.attached", 6006, 1),
        ("evidence.linked", 6006, 3),
        ("audit.exported", 6003, 2),
        ("notification.sent", 3004, 3),
        ("task.paused", 3004, 12),
        ("task.resumed", 3004, 13),
        ("access.refused", 6003, 2),
        ("code.sent", 3002, 99),
        ("code.verified", 3002, 1),
        ("code.wrong", 3002, 1),
        ("code.refused", 3002, 1),
        ("answer_link.opened", 3002, 1),
        ("answer_link.used", 3002, 1),
        ("answer_link.refused", 3002, 1),
        ("answer_link.unknown", 3002, 1),
        ("answer_link.minted", 3004, 1),
        ("answer_link.revoked", 3004, 11),
    ],
)
def test_class_and_activity(type_, class_uid, activity_id):
    event = ocsf(record(type_))
    assert (event["class_uid"], event["activity_id"]) == (class_uid, activity_id)


@pytest.mark.parametrize(
    ("changes", "type_uid", "privileges"),
    [
        ({"roles": (["a"], ["a", "b"])}, 300501, ["b"]),
        ({"roles": (["a", "b"], ["a"])}, 300502, ["b"]),
        ({"roles": (["a"], ["b"])}, 300599, ["a", "b"]),
        ({"active": (True, False)}, 300105, None),
        ({"active": (False, True)}, 300102, None),
        ({"email": (WITHHELD, WITHHELD)}, 300199, None),
        ({"roles": (WITHHELD, WITHHELD)}, 300199, None),
    ],
)
def test_a_change_of_roles_is_user_access_and_all_else_of_a_person_an_account_change(changes, type_uid, privileges):
    event = ocsf(record("person.changed", changes, subject=Subject("person", PERSON, 2), stream=f"person/{PERSON}"))
    assert (event["type_uid"], event.get("privileges")) == (type_uid, privileges)
    assert problems(event) == []


def test_an_incident_says_who_has_it_and_how_bad_it_is_as_far_as_the_event_does():
    row = Subject("case", ROW, 1)
    owned = ocsf(record("case.opened", {"owner_id": (None, PERSON), "severity": (None, "high")}, subject=row))
    assert (owned["assignee"]["name"], owned["severity_id"], owned["status_id"]) == ("ana", 4, 1)
    queued = ocsf(record("case.opened", {"owner_id": (None, None), "owner_role": (None, "tier1")}, subject=row))
    assert queued["assignee_group"] == {"name": "role:tier1"}
    assert ocsf(record("case.edited", subject=row))["assignee_group"] == {"name": "not said by this event"}
    assert ocsf(record("case.edited", subject=row))["severity_id"] == 0


def test_it_has_the_proof_of_the_event_with_it():
    one = record("evidence.attached", {"sha256": (None, SHA256), "name": (None, "a.txt"), "size": (None, 3)})
    event = ocsf(one)
    assert event["file"]["hashes"] == [{"algorithm_id": 3, "algorithm": "SHA-256", "value": SHA256}]
    assert (event["metadata"]["sequence"], event["metadata"]["uid"]) == (41, one.event["event_id"])
    assert (event["unmapped"]["leaf"], event["unmapped"]["seq"]) == (one.leaf, 7)
    assert "sequence" not in ocsf(record("note.added", idx=None))["metadata"]


def test_a_log_in_says_who_and_why_not():
    refused = ocsf(record("answer_link.refused", facts={"who": "mia", "why": "expired", "count": 1}, subject=None))
    assert (refused["user"], refused["status"], refused["status_detail"], refused["is_mfa"]) == (
        {"name": "mia", "type_id": 1},
        "Failure",
        "expired",
        False,
    )
    withheld = ocsf(record("code.wrong", facts={"who": WITHHELD}, subject=None))
    assert (withheld["user"]["name"], withheld["status"], withheld["is_mfa"]) == ("(withheld)", "Failure", True)
    assert ocsf(record("answer_link.unknown", subject=None))["user"]["name"] == "ana"
    assert problems(refused) == problems(withheld) == []


FAILURES = {
    "access.refused",
    "answer_link.refused",
    "answer_link.unknown",
    "audit.contradicted",
    "case.overdue",
    "channel.left_alone",
    "code.refused",
    "code.wrong",
    "deadline.missed",
    "execution.given_up",
    "mailbox.left_alone",
    "notification.failed",
    "reply.set_aside",
    "stage.overdue",
    "task.failed",
    "task.overdue",
}


def test_what_failed_is_no_success():
    told = {type_: json.loads(FORMATS["ecs"].line(record(type_)))["event"]["outcome"] for type_ in recorded_types()}
    assert {type_ for type_, outcome in told.items() if outcome == "failure"} == FAILURES
    statuses = {type_: ocsf(record(type_))["status"] for type_ in FAILURES - {"case.overdue"}}  # that of an incident
    assert set(statuses.values()) == {"Failure"}
    assert {type_ for type_, outcome in told.items() if outcome == "unknown"} == {
        "notification.postponed",
        "notification.unknown",
        "task.unknown_outcome",
    }


@pytest.mark.parametrize(
    ("type_", "facts", "status"),
    [
        ("notification.tested", {"outcome": "permanent"}, "Failure"),
        ("notification.tested", {"outcome": "ok"}, "Success"),
        ("deadline.met", {"late": True}, "Failure"),
        ("deadline.met", {"late": False}, "Success"),
        ("x.y", {}, "Unknown"),
    ],
)
def test_where_the_event_itself_knows_how_it_went(type_, facts, status):
    assert ocsf(record(type_, facts=facts, subject=None))["status"] == status


def test_every_kind_but_two_says_what_kind_of_change_it_is():
    kinds = [kind for kinds in AREAS.values() for kind in kinds]
    assert {kind.type for kind in kinds if kind.sense.change == "other"} == {"run.state", "audit.contradicted"}


@pytest.mark.parametrize(("state", "activity", "status"), [("RUNNING", 10, 1), ("PAUSED", 12, 1), ("CRASHED", 11, 2)])
def test_states_of_runs(state, activity, status):
    event = ocsf(record("run.state", facts={"state_type": state, "run_id": "r", "run_kind": "flow-run"}, subject=None))
    assert (event["activity_id"], event["status_id"], event["entity"]["type"]) == (activity, status, "flow-run")
