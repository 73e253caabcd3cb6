"""Whatever values an event has: each format stays whole, and a reader of that format gets them back."""

import csv
import io
import json
import re

import pytest

from case_store.actor import Actor
from case_store.audit.events import Subject
from case_store.audit.formats import FORMATS, Names, Record
from case_store.audit.formats.csv import COLUMNS, cell
from tests.unit.case_store.formats.records import (
    CASE,
    NAMES,
    PERSON,
    ROW,
    SHA256,
    WITHHELD,
    record,
    recorded_types,
    variants,
)

HOSTILE = {
    "line breaks": "one\ntwo\r\nthree\rfour",
    "other line breaks": "one\u2028two\u2029three\x85four\x0bfive\x0csix",
    "cef header": "a|b\\|c\\",
    "cef extension": "x=1 act=delete suser=root msg\\=y \\n \\r",
    "structured data": '"] [other@1 x="y"] \\] \\"',
    "csv": '","=cmd|\'/c calc\'!A1\r\n"=1+1',
    "formula": "=cmd|'/c calc'!A1",
    "escape of a terminal": "\x1b[2J\x07\x7f\x9b31m",
    "direction": "\u202egnp.exe\u2066x\u2069",
    "nothing to see": "\ufeff\u200b ",
    "html": "</script><img src=x onerror=alert(1)>&amp;",
    "astral": "\U0001d518\U0001d52b \U0001f600 \U0010ffff",
    "json": '{"actor":{"id":"root"}}',
}
LINES = ["jsonl", "ocsf", "cef", "syslog", "ecs", "csv", "case-uco"]
NO_LINE_IN_IT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def hostile(value) -> Record:
    """An event that says it everywhere: in columns, facts, names, and in what identifies things."""
    changes = {
        "name": (None, value),
        "sha256": (None, SHA256),
        "title": (value, value),
        value: (None, {value: [value]}),
    }
    return record(
        "evidence.attached",
        changes,
        {"error": value, "deep": {"er": value}},
        by=Actor("person", PERSON),
        subject=Subject("evidence", value, 1),
        request_id=value,
        names=Names({PERSON: value}, {CASE: 12}),
    )


def lines_of(name, *records):
    """A document of this format, as a reader takes it apart into lines."""
    form = FORMATS[name]
    return form.begin() + "".join(form.line(one) + form.line_end for one in records) + form.end()


def cef(line):
    """Take a CEF line apart: the parts of its header, and its extension."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    assert len(parts) == 8
    fields = re.split(r"(?:^| )([A-Za-z0-9]+)=", parts[7])
    pairs = dict(zip(fields[1::2], fields[2::2], strict=True))
    assert len(pairs) * 2 == len(fields) - 1  # no key twice
    unescape = {"\\\\": "\\", "\\=": "=", "\\n": "\n", "\\r": "\r"}
    return parts[:7], {key: re.sub(r"\\(.)", lambda found: unescape[found[0]], value) for key, value in pairs.items()}


SYSLOG = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<ts>\S+) (?P<host>\S+) (?P<app>\S+) (?P<pid>\S+) (?P<id>[!-~]{1,32}) "
    r'\[(?P<sd>[!-~]{1,32}(?: [!-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\] \ufeff(?P<msg>.*)'
)


def syslog(line):
    """Take a line of RFC 5424 apart: its header, its structured data, its message."""
    found = SYSLOG.fullmatch(line)
    assert found, line
    data = re.findall(r' ([!-~]+?)="((?:[^"\\\]]|\\["\\\]])*)"', found["sd"])
    return found, {key: re.sub(r'\\(["\\\]])', r"\1", value) for key, value in data}


def spelt(value):
    """A text as formats of one line each have it: controls spelt out."""
    return NO_LINE_IN_IT.sub(lambda found: f"\\u{ord(found[0]):04x}", value)


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", LINES)
def test_an_event_is_one_line_without_a_control_character(name, value):
    if name == "jsonl":
        assert FORMATS[name].line(hostile(value)) == hostile(value).body  # as it is, byte for byte
    else:
        assert NO_LINE_IN_IT.search(FORMATS[name].line(hostile(value))) is None
    assert "\n" not in FORMATS[name].line(hostile(value))


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
class TestRoundTrip:
    """Each format is read by a parser that is not ours, or a small one of this test."""

    def test_ocsf(self, value):
        one = hostile(value)
        event = json.loads(FORMATS["ocsf"].line(one))
        assert event["unmapped"]["changes"] == one.event["changes"]
        assert event["unmapped"]["facts"] == one.event["facts"]
        assert (event["file"]["name"], event["actor"]["user"]["name"]) == (value, value)

    def test_ecs(self, value):
        one = hostile(value)
        document = json.loads(FORMATS["ecs"].line(one))
        assert json.loads(document["casewright"]["changes"]) == one.event["changes"]
        assert json.loads(document["casewright"]["facts"]) == one.event["facts"]
        assert (document["file"]["name"], document["user"]["name"]) == (value, value)
        assert document["casewright"]["entity"]["id"] == value

    def test_cef(self, value):
        one = hostile(value)
        head, extension = cef(FORMATS["cef"].line(one))
        assert head == ["CEF:0", "Casewright", "Casewright", head[3], "evidence.attached", "Evidence attached", "3"]
        assert json.loads(extension["cs3"]) == one.event["changes"]
        assert json.loads(extension["cs4"]) == one.event["facts"]
        lines = re.split("([\n\r])", value)
        assert extension["suser"] == "".join(part if part in "\n\r" else spelt(part) for part in lines)
        assert (extension["cs1"], extension["cn1"], extension["cn2"]) == (f"case/{CASE}", "7", "41")

    def test_syslog(self, value):
        one = hostile(value)
        head, data = syslog(FORMATS["syslog"].line(one))
        assert (head["pri"], head["id"], head["app"]) == ("110", "evidence.attached", "casewright")
        assert (data["actorName"], data["entity"], data["idx"]) == (spelt(value), f"evidence/{spelt(value)}", "41")
        told = json.loads(head["msg"].partition(f"by {spelt(value)} ")[2])
        assert told == {"changes": one.event["changes"], "facts": one.event["facts"]}

    def test_csv(self, value):
        one = hostile(value)
        head, row = csv.reader(io.StringIO(lines_of("csv", one), newline=""), strict=True)
        assert tuple(head) == COLUMNS
        cells = dict(zip(COLUMNS, row, strict=True))
        assert json.loads(cells["changes"]) == one.event["changes"]
        assert json.loads(cells["facts"]) == one.event["facts"]
        assert cells["actor"].removeprefix("'") == spelt(value).removeprefix("'")
        assert cells["entity id"].removeprefix("'") == spelt(value).removeprefix("'")

    def test_case_uco(self, value):
        graph = json.loads(lines_of("case-uco", hostile(value)))["@graph"]
        (action,) = [node for node in graph if node["@type"] == "case-investigation:InvestigativeAction"]
        _, file = action["uco-action:result"][0]["uco-core:hasFacet"]
        assert (file["uco-observable:fileName"], action["uco-action:performer"]["uco-core:name"]) == (value, value)


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
@pytest.mark.parametrize("before", ["", " ", "\u00a0", "\ufeff", "\u200b ", "\u3000", "\t", "\r", "\n", " \r\n "])
def test_no_cell_of_a_csv_is_computed(before, begins):
    value = f"{before}{begins}1+1"
    assert cell(value).startswith("\"'")
    one = record("note.added", names=Names({PERSON: value}))
    (row,) = csv.reader([FORMATS["csv"].line(one)], strict=True)
    assert row[5].startswith("'")


def test_what_is_no_formula_has_no_apostrophe():
    """An empty cell above all: `"" in "=+-@"` is true."""
    assert [cell(one)[1] for one in ("\t1", "\r1", "\n1")] == ["'"] * 3  # these count as well, at the very beginning
    assert [cell(one) for one in ("", "a", "12", "a=b", "2026-03-02", "'x", " x")] == [
        '""', '"a"', '"12"', '"a=b"', '"2026-03-02"', '"\'x"', '" x"',
    ]  # fmt: skip
    one = record("note.added", subject=None)
    (row,) = csv.reader([FORMATS["csv"].line(one)], strict=True)
    assert not any(value.startswith("'") for value in row)


def test_the_header_of_a_csv_says_which_format_can_be_verified():
    assert "JSON Lines" in FORMATS["csv"].begin()


@pytest.mark.parametrize("name", LINES)
def test_a_megabyte_of_text_is_carried_or_visibly_cut(name):
    text = 'x|=]"\n' * 175_000
    line = FORMATS[name].line(record("evidence.attached", {"name": (None, text), "sha256": (None, SHA256)}))
    if name in {"cef", "syslog"}:
        assert len(line) < 16_000
        assert "…" in line
    else:
        assert len(line) > 1_000_000
    if name == "cef":
        assert cef(line)[1]["cs3"].endswith("…")
    if name == "syslog":
        assert syslog(line)[0]["msg"].endswith("…")


@pytest.mark.parametrize("name", [name for name in LINES if name != "jsonl"])
def test_withheld_values_are_said_to_be_withheld(name):
    changes = {"name": (WITHHELD, WITHHELD), "sha256": (None, SHA256), "email": (None, [WITHHELD])}
    one = record("evidence.attached", changes, {"phone": WITHHELD})
    line = FORMATS[name].line(one)
    assert "(withheld)" in line
    assert WITHHELD["_sd"] not in line
    assert "_sd" not in line


@pytest.mark.parametrize("type_", sorted(recorded_types()))
def test_every_format_takes_every_event(type_):
    for one in variants(type_):
        assert [bool(FORMATS[name].line(one)) for name in LINES] == [True] * 6 + [type_.startswith("evidence.")]
        assert cef(FORMATS["cef"].line(one))[1]["act"] == type_
        assert syslog(FORMATS["syslog"].line(one))[1]["type"] == type_


@pytest.mark.parametrize("name", LINES)
def test_a_nul_that_came_past_us_does_no_harm(name):
    """New events have none; a format does not rely on it."""
    body = record("evidence.attached", {"name": (None, "a@@b"), "sha256": (None, SHA256)}).body
    one = Record.of(body.replace("@@", "\\u0000"), names=NAMES)
    assert "\0" in one.after("name")
    line = FORMATS[name].line(one)
    assert NO_LINE_IN_IT.search(line) is None
    assert "u0000" in line


def test_events_of_the_first_schema_version_have_no_place_in_a_stream():
    old = json.loads(record("note.added").body)
    del old["seq"], old["prev"]
    one = Record.of(json.dumps(old), names=NAMES)
    assert "seq" not in syslog(FORMATS["syslog"].line(one))[1]
    assert "cn1" not in cef(FORMATS["cef"].line(one))[1]
    assert [json.loads(FORMATS[name].line(one)) is not None for name in ("ocsf", "ecs", "jsonl")] == [True] * 3
    assert next(csv.reader([FORMATS["csv"].line(one)]))[1] == ""


def test_a_long_type_is_cut_where_syslog_has_no_room():
    found, data = syslog(FORMATS["syslog"].line(record("x." + "y" * 60, subject=Subject("task", ROW, 1))))
    assert (len(found["id"]), data["type"]) == (32, "x." + "y" * 60)


@pytest.mark.parametrize(
    ("type_", "facts", "severity", "priority", "outcome"),
    [
        ("task.done", {}, "3", "110", "success"),
        ("task.failed", {}, "6", "108", "failure"),
        ("notification.unknown", {}, "5", "109", "unknown"),
        ("run.state", {"state_type": "CRASHED"}, "6", "108", "failure"),
    ],
)
def test_what_failed_is_worse(type_, facts, severity, priority, outcome):
    one = record(type_, facts=facts)
    head, extension = cef(FORMATS["cef"].line(one))
    assert (head[6], extension["outcome"]) == (severity, outcome)
    assert syslog(FORMATS["syslog"].line(one))[0]["pri"] == priority
    assert json.loads(FORMATS["ecs"].line(one))["event"]["outcome"] == outcome
