"""Whatever comes in from outside is read, or refused in our own words; nothing else ever escapes."""

import json
import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from case_store import evidence, forms, people
from case_store.alert_formats import SEVERITIES, AlertRefused, parse
from case_store.forms import FormRefused
from case_store.refusals import PeopleRefused
from sop.model import FormField

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud800", "a\0b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NEARLY = st.fixed_dictionaries(
    {"source": JSON | st.just("s"), "source_ref": JSON | st.just("1"), "title": JSON | st.just("t")},
    optional={
        "severity": JSON | st.sampled_from(SEVERITIES),
        "occurred_at": JSON | st.datetimes(timezones=st.timezones()).map(str),
        "link": JSON | st.sampled_from(["https://a/b", "javascript:x", "https://[::1", "http://a b"]),
        "fields": JSON,
        "rule": JSON | st.fixed_dictionaries({"level": st.integers(-1, 17), "description": JSON}),
        "_source": JSON,
    },
)


def read(raw: bytes) -> None:
    try:
        alerts = parse(raw)
    except AlertRefused:
        return
    for alert in alerts:
        assert alert.severity in SEVERITIES
        assert 0 < len(alert.source) <= 100
        assert 0 < len(alert.source_ref) <= 500
        assert 0 < len(alert.title) <= 300
        assert alert.title.isprintable()
        assert alert.occurred_at is None or alert.occurred_at.utcoffset().total_seconds() == 0
        text = json.dumps(alert.fields, ensure_ascii=False, allow_nan=False)
        assert "\0" not in text.encode("utf-8").decode("utf-8")


@given(st.binary(max_size=200))
@example(b"[" * 1_000_000)
@example(b'"' * 1_000_000)
@example(b'{"a":"' + b"\\" * 100_000)
@example(b"{" * 5 + b"\n" * 100_000)
@example(b"-" + b"9" * 10_000)
def test_bytes(raw: bytes) -> None:
    read(raw)


@given(NEARLY | JSON)
def test_documents_that_are_nearly_alerts(document: object) -> None:
    read(json.dumps(document).encode())


FORM = {
    "choice": FormField(type="choice", options=("a", "b")),
    "choices": FormField(type="multichoice", options=("a", "b")),
    **{kind: FormField(type=kind) for kind in ("text", "longtext", "yesno", "number", "date", "datetime")},
}


@given(st.dictionaries(st.sampled_from([*FORM, "other"]), JSON | st.binary() | st.dates() | st.datetimes()))
def test_answers_to_forms(values: dict[str, object]) -> None:
    try:
        answers = forms.read(FORM, values)
    except FormRefused:
        return
    assert answers.keys() == FORM.keys()
    json.dumps(answers, allow_nan=False, ensure_ascii=False).encode()
    assert forms.read(FORM, answers) == answers, "what was read reads the same again"


@given(st.text(), st.lists(st.text()))
def test_lists_of_people(text: str, lines: list[str]) -> None:
    for document in (text, "handle,name,email\n" + "\n".join(lines)):
        try:
            rows = people.parse_csv(document)
        except PeopleRefused:
            continue
        assert all(set(row.values) <= set(people.COLUMNS) for row in rows)


@given(st.sampled_from([b"", b"PK\x03\x04", b"MZ", b"\x1f\x8b", b"RIFF", b"<?xml"]), st.binary(max_size=400))
def test_every_content_has_a_type(head: bytes, tail: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x"
        file.write_bytes(head + tail)
        assert "/" in evidence.sniff(file)


@given(st.text(max_size=400))
def test_every_name_can_be_shown(name: str) -> None:
    kept = evidence.kept_name(name)
    assert kept.isprintable()
    assert 0 < len(kept) <= 255
    assert evidence.kept_name(kept) == kept
