"""Every event is in the categories of the Elastic Common Schema, and has a type that its category expects."""

import json

import pytest

from case_store.audit.formats import FORMATS
from tests.unit.case_store.formats.records import SHA256, record, recorded_types, variants

# From the reference of ECS, "Allowed values" of `event.category`, for the categories in use here.
EXPECTED = {
    "authentication": "end info start",
    "api": "access admin allowed change creation deletion denied end info start user",
    "configuration": "access change creation deletion info",
    "file": "access change creation deletion info",
    "iam": "admin change creation deletion group info user",
    "process": "access change end info start",
}


def document(one):
    return json.loads(FORMATS["ecs"].line(one))


@pytest.mark.parametrize("type_", [*sorted(recorded_types()), "x.y", "audit.erased"])
def test_category_type_and_outcome_are_of_the_schema(type_):
    for one in variants(type_):
        event = document(one)["event"]
        (category,), (kind,) = event["category"], event["type"]
        assert kind in EXPECTED[category].split()
        assert event["outcome"] in {"success", "failure", "unknown"}
        assert (event["kind"], event["action"]) == ("event", type_)


@pytest.mark.parametrize(
    ("type_", "category", "kind"),
    [
        ("case.opened", "configuration", "creation"),
        ("task.done", "configuration", "change"),
        ("person.added", "iam", "creation"),
        ("evidence.attached", "file", "creation"),
        ("execution.started", "process", "start"),
        ("execution.ended", "process", "end"),
        ("audit.exported", "api", "access"),
        ("answer_link.opened", "authentication", "start"),
        ("code.wrong", "authentication", "start"),
        ("code.sent", "authentication", "info"),
    ],
)
def test_where_an_event_belongs(type_, category, kind):
    event = document(record(type_))["event"]
    assert (event["category"], event["type"]) == ([category], [kind])


def test_it_is_found_by_hash_person_and_place():
    one = record("evidence.attached", {"sha256": (None, SHA256), "name": (None, "a.txt"), "size": (None, 3)})
    made = document(one)
    assert made["@timestamp"] == one.event["ts"]
    assert made["related"] == {"user": ["ana"], "hash": [one.leaf, SHA256]}
    assert (made["event"]["hash"], made["event"]["sequence"], made["event"]["id"]) == (
        one.leaf,
        41,
        one.event["event_id"],
    )
    assert made["file"] == {"name": "a.txt", "size": 3, "hash": {"sha256": SHA256}}
    assert "sequence" not in document(record("note.added", idx=None))["event"]
