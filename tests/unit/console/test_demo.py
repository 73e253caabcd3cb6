"""The parts of the demonstration: a fresh alert, a script of answers, a record that is read again."""

import json
from datetime import UTC, datetime

import pytest

from case_store import alert_formats
from case_store.forms import json_schema
from console.demo import alert, record, script
from console.errors import DemoFailed
from console.intake import wants
from sop.conditions import evaluate
from sop.library import Library

AT = datetime(2026, 3, 5, 7, 4, 9, 120_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def sop():
    return Library.load().get("ssh-bruteforce").sop


class TestAlert:
    """It looks as Wazuh writes it, and has just happened."""

    def test_its_times_are_those_of_now(self):
        document = json.loads(alert.fresh(AT))
        assert document["timestamp"] == "2026-03-05T07:04:09.120+0000"
        assert document["id"].startswith("1772694249.")
        assert document["full_log"].startswith("Mar  5 07:04:09 web-03 sshd")
        assert document["previous_output"].splitlines()[-1].startswith("Mar  5 07:03:45 web-03")
        assert "${" not in json.dumps(document)

    def test_two_demonstrations_have_two_alerts(self):
        (first,) = alert_formats.parse(alert.fresh(AT), "wazuh")
        (second,) = alert_formats.parse(alert.fresh(AT.replace(second=10)), "wazuh")
        assert first.source_ref != second.source_ref

    def test_the_sop_wants_it(self, sop):
        (parsed,) = alert_formats.parse(alert.fresh(AT), "auto")
        assert evaluate(sop.match, {"alert": {"source": parsed.source, "fields": parsed.fields}})

    def test_an_sop_without_match_wants_no_alert(self):
        library = Library.load()
        silent = [loaded for loaded in library.sops.values() if loaded.sop.match is None]
        assert not any(wants(loaded, None) for loaded in silent)


class TestScript:
    """What people answer fits the forms of the SOP as it is now."""

    def test_every_task_that_may_wait_has_an_answer(self, sop):
        known = script.load()
        waiting = {task.key for stage in sop.stages for task in stage.tasks if task.kind != "action"}
        after_a_login = {"cut-off", "review-session", "remove-access"}
        assert waiting - after_a_login == set(known)

    def test_every_answer_fits_its_form(self, sop):
        import jsonschema

        for key, answers in script.load().items():
            form = json_schema(sop.task(key).form or {})
            own = {name: value for name, value in answers.items() if name not in {"note", "signed_by"}}
            jsonschema.validate(own, form)

    @pytest.mark.parametrize(
        ("offered", "taken"),
        [(["done", "skip"], "done"), (["approve", "reject"], "approve"), (["retry", "done"], "done")],
    )
    def test_the_decision_that_goes_on_is_taken(self, offered, taken):
        form = {"properties": {"decision": {"enum": offered}}, "required": ["decision"]}
        assert script.answer({"x": {}}, "x", form) == {"decision": taken}

    def test_only_fields_of_the_form_are_filled(self):
        form = {"properties": {"note": {}}, "required": []}
        assert script.answer({"x": {"note": "a", "other": 1}}, "x", form) == {"note": "a"}

    def test_an_unknown_task_is_named(self):
        with pytest.raises(DemoFailed, match="'new-task'"):
            script.answer({}, "new-task", {"properties": {}})

    def test_a_required_field_without_answer_is_named(self):
        form = {"properties": {"a": {}, "b": {}}, "required": ["a", "b"]}
        with pytest.raises(DemoFailed, match="leaves out b"):
            script.answer({"x": {"a": 1}}, "x", form)


def event(number, version, changes, **other):
    return json.dumps(
        {
            "event_id": f"e{number}",
            "ts": "2026-03-05T07:04:09Z",
            "actor": {"kind": "person", "id": "p1"},
            "request_id": "r1",
            "entity": {"type": "case", "id": "c1", "version": version},
            "changes": changes,
            **other,
        }
    )


class TestRecord:
    """An export is believed only when it tells a whole story."""

    def test_the_state_is_the_fold_of_the_events(self):
        story = record.read([event(1, 1, {"state": [None, "open"]}), event(2, 2, {"state": ["open", "closed"]})])
        assert (story.events, story.by_people) == (2, 2)
        assert story.row_of("case") == {"state": "closed"}

    def test_a_withheld_value_has_another_digest_each_time(self):
        changes = {"title": [None, {"_sd": "a"}]}, {"title": [{"_sd": "b"}, {"_sd": "c"}]}
        story = record.read([event(number, number, change) for number, change in enumerate(changes, 1)])
        assert story.row_of("case") == {"title": {"_sd": "c"}}
        with pytest.raises(DemoFailed, match="line 2 changes title"):
            record.read([event(1, 1, {"title": [None, "open"]}), event(2, 2, changes[1])])

    def test_an_event_that_changes_nothing_counts(self):
        assert record.read([event(1, None, {})]).events == 1

    @pytest.mark.parametrize(
        ("lines", "reason"),
        [
            ([event(1, 1, {}), event(1, 2, {})], "line 2 is there twice"),
            ([event(1, 1, {}), event(2, 3, {})], "line 2 makes version 3"),
            (
                [event(1, 1, {"state": [None, "open"]}), event(2, 2, {"state": ["closed", "open"]})],
                "line 2 changes state",
            ),
            ([event(1, 1, {}, actor={"kind": "person", "id": ""})], "line 1 has no author"),
            ([event(1, 1, {}, ts="")], "line 1 has no author, time"),
        ],
    )
    def test_a_story_with_a_hole_is_refused(self, lines, reason):
        with pytest.raises(DemoFailed, match=reason):
            record.read(lines)
