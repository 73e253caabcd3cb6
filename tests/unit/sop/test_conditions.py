"""What conditions and parameters may say, and what they say when there is no answer."""

from datetime import UTC, datetime

import pytest

from sop.cel_text import CelText
from sop.conditions import Condition, evaluate, names, parameters, roots, value
from sop.errors import ConditionFailed, ConditionRefused
from sop.loader import loads
from sop.vocabulary import blank_tasks

SCOPE = {
    "case": {"number": 12, "title": "Stolen laptop", "opened_at": datetime(2026, 3, 1, 9, 30, tzinfo=UTC)},
    "alert": {"title": "SSH brute force", "fields": {"rule": {"level": 10, "groups": ["sshd", "syslog"]}}},
    "tasks": {
        "block_sender": {"state": "done", "decision": "approved", "note": None},
        "confirm": {"state": "done", "verdict": "phishing", "clicked": 3.0, "sure": True, "comment": None},
    },
    "observables": {"ip": ["203.0.113.7", "198.51.100.9"], "domain": []},
}


@pytest.mark.parametrize(
    "text",
    [
        'tasks.confirm.verdict == "phishing" && tasks.confirm.clicked > 2',
        "tasks.block_sender.decision == 'approved'",
        'tasks["confirm"].sure',
        '"sshd" in alert.fields.rule.groups',
        'alert.fields.rule.groups.exists(g, g.startsWith("sys"))',
        'alert.title.matches("(?i)BRUTE")',
        'alert.title.lowerAscii().contains("brute")',
        'observables.first("ip") == "203.0.113.7"',
        'observables.first("domain") == null && observables.first("hash") == null',
        'observables.all("ip").size() == 2 && observables.all("hash").size() == 0',
        'observables.all("ip").all(one, one.matches("[0-9.]+"))',
        'case.opened_at < timestamp("2026-03-02T00:00:00Z")',
        "!has(tasks.confirm.comment) && has(tasks.confirm.sure) && !has(tasks.confirm.nothing)",
        "tasks.confirm.comment == null",
        "tasks.nothing.verdict == 'x' || true",
    ],
)
def test_true_conditions(text):
    assert evaluate(text, SCOPE) is True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('observables.all("ip").join(", ")', "203.0.113.7, 198.51.100.9"),
        ("string(int(tasks.confirm.clicked)) + ' clicks'", "3 clicks"),
        ("case.opened_at", "2026-03-01T09:30:00+00:00"),
        ("duration('90m')", "1h30m"),
        ("{'a': [1, 2.5, null, true]}", {"a": [1, 2.5, None, True]}),
        ("tasks.confirm", SCOPE["tasks"]["confirm"]),
        ("[1].first('ip')", None),
        ("'a'.join()", None),
        ("[1].lowerAscii()", None),
    ],
)
def test_values_are_json(text, expected):
    assert value(text, SCOPE) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tasks.confirm.nothing == 1", "there is no value for tasks.confirm.nothing"),
        ("tasks.nothing.state == 'done'", "there is no value for tasks.nothing.state"),
        ("tasks.confirm.comment > 1", "do not fit together, among them tasks.confirm.comment"),
        ("observables.ip[9] == 'x'", "shorter"),
        ("1 / (case.number - 12) == 0", "divides by zero"),
        ("case.number * 9223372036854775807 > 0", "too large"),
        ("nothing == 1", "Undefined variable"),
        ("tasks.confirm.verdict", "'phishing', neither true nor false"),
        ("tasks.confirm.comment", "empty, neither true nor false"),
        ("optional.none()", "neither true nor false"),
    ],
)
def test_a_condition_without_an_answer_says_why(text, reason):
    with pytest.raises(ConditionFailed) as caught:
        evaluate(text, SCOPE)

    assert reason in str(caught.value)
    assert text[:20] in str(caught.value)
    assert caught.value.next_step


@pytest.mark.parametrize("text", ["b'x'", "{1: 2}", "1.0 / 0.0", "optional.none()"])
def test_a_value_that_is_not_json_is_none(text):
    with pytest.raises(ConditionFailed, match="has no answer: its value is"):
        value(text, SCOPE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a CEL expression"),
        ("tasks.a = 'x'", "single ="),
        ("x and y", "CEL does not know"),
        ("tasks.a == \u201cx\u201d", "curly quotes"),
        ("tasks.a == 'x", "never closed"),
        ("(tasks.a", "bracket"),
        ("tasks.a ==", "at character 11"),
        ("true || " * 200 + "true", "longer than 1000 characters"),
        ("[1].all(a, [1].all(b, [1].all(c, a == c)))", "loops within loops within loops"),
        ("(" * 400 + "1" + ")" * 400, "not a CEL expression"),
    ],
)
def test_what_is_no_condition_is_refused(text, reason):
    with pytest.raises(ConditionRefused, match=reason.replace("(", r"\(")) as caught:
        Condition(text)

    assert caught.value.next_step


def test_loops_over_many_values_are_refused_before_they_run():
    many = {"observables": {"ip": ["203.0.113.7"] * 600}}
    text = 'observables.all("ip").all(a, observables.all("ip").exists(b, a == b))'

    assert evaluate(text, SCOPE)
    with pytest.raises(ConditionFailed, match="too many values"):
        evaluate(text, many)


def test_a_case_without_an_alert_has_no_alert_fields():
    assert evaluate("!has(alert.raw)", {"alert": None})
    with pytest.raises(ConditionFailed, match=r"no value for alert\.raw"):
        evaluate("alert.raw == 'x'", {"alert": None})


def test_parameters_evaluate_text_wherever_it_is():
    given = {"address": 'observables.first("ip")', "literal": "'text'", "list": ["case.number", 5], "map": {"a": True}}

    assert parameters(given, SCOPE) == {
        "address": "203.0.113.7",
        "literal": "text",
        "list": [12, 5],
        "map": {"a": True},
    }


def test_a_parameter_without_a_value_is_named():
    with pytest.raises(ConditionFailed, match=r"with\.address: 'alert\.nothing' has no answer"):
        parameters({"address": "alert.nothing"}, SCOPE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tasks.confirm.verdict == 'tasks.other.verdict'", {"tasks.confirm.verdict"}),
        ('tasks["confirm"].verdict == alert.fields["a b"]', {"tasks.confirm.verdict", "alert.fields.a b"}),
        ('observables.first("ip") != null', {"observables"}),
        ("alert.title.contains(case.title)", {"alert.title", "case.title"}),
        ("[1, 2].exists(x, x == case.number) && x", {"case.number", "x"}),
        ("alert.fields.groups.map(g, g.name)[0]", {"alert.fields.groups"}),
        ("has(tasks.a.b) ? 1.5e3 : size(case.title) // case.number", {"tasks.a.b", "case.title"}),
        ('r\'\\\' + case.title + """a\'b\ntasks.x"""', {"case.title"}),
        ("{'a': alert.link}.a", {"alert.link"}),
    ],
)
def test_names(text, expected):
    assert names(text) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((None,), set()),
        (("'a word'", {"count": 3}), set()),
        (("alert.fields.score > 9.0",), {"alert"}),
        ((None, {"to": ["case.owner", {"deep": "tasks.confirm.note"}]}), {"case", "tasks"}),
        (('[1].exists(one, observables.first("ip") != null)',), {"observables"}),
    ],
)
def test_roots_are_found_wherever_they_are_named(given, expected):
    assert roots(*given) == expected


def test_empty_is_missing_only_where_it_is_asked_with_has():
    said = CelText('has(a.b) && (a.b == "has(a.b)" || !has( c["d"].e ))').with_empty_as_missing()

    assert said == '(has(a.b) && a.b != null) && (a.b == "has(a.b)" || !(has(c["d"].e) && c["d"].e != null))'


def test_before_anything_happened_every_known_value_is_there_and_empty():
    sop = loads(
        "sop: a\nversion: 1\ntitle: A\nstages: [{key: s, title: S, tasks: "
        "[{key: one-two, title: T, form: {where: {type: text}}}]}]"
    ).sop

    scope = {"tasks": blank_tasks(sop)}

    assert scope["tasks"] == {"one_two": {"state": "waiting", "decision": None, "note": None, "where": None}}
    assert evaluate("tasks.one_two.where != 'train' && !has(tasks.one_two.where)", scope)


def test_times_and_durations_in_parameters_are_text():
    assert parameters({"at": "case.opened_at", "for": "duration('2h')"}, SCOPE) == {
        "at": "2026-03-01T09:30:00+00:00",
        "for": "2h",
    }
