"""Alerts as they come: what is read from them, and what hostile documents do."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from case_store.alert_formats import AlertRefused, ParsedAlert, parse
from case_store.strict_json import MAX_BYTES

WAZUH_LINE = {
    "timestamp": "2026-03-02T05:06:07.891+0000",
    "rule": {
        "level": 10,
        "description": "sshd: brute force trying to get access to the system.",
        "id": "5712",
        "frequency": 8,
        "firedtimes": 2,
        "mail": False,
        "groups": ["syslog", "sshd", "authentication_failures"],
        "mitre": {"id": ["T1110"], "tactics": ["Credential Access"]},
    },
    "agent": {"id": "007", "name": "web-7", "ip": "10.20.0.7"},
    "manager": {"name": "siem-1"},
    "id": "1772427967.4242",
    "full_log": "Mar  2 05:06:06 web-7 sshd[99]: Failed password for root from 203.0.113.9 port 50022 ssh2",
    "decoder": {"parent": "sshd", "name": "sshd"},
    "data": {"srcip": "203.0.113.9", "srcport": "50022", "dstuser": "root"},
    "location": "/var/log/auth.log",
}
WAZUH_HIT = {
    "_index": "wazuh-alerts-4.x-2026.03.02",
    "_id": "kP9",
    "_score": None,
    "_source": WAZUH_LINE | {"GeoLocation": {"country_name": "Nowhere", "location": {"lat": 52.8475, "lon": 8.045}}},
    "fields": {"timestamp": ["2026-03-02T05:06:07.891Z"]},
    "sort": [1772427967891],
}
GENERIC = {
    "source": "mail-gateway",
    "source_ref": "4711",
    "title": "Reported as phishing",
    "severity": "High",
    "occurred_at": "2026-03-02T06:06:07+01:00",
    "link": "https://gateway.example/4711",
    "fields": {"sender": "a@example.org", "score": 9.5},
}


def only(document: object) -> ParsedAlert:
    (alert,) = parse(json.dumps(document).encode())
    return alert


def refusal(raw: bytes) -> AlertRefused:
    with pytest.raises(AlertRefused) as refused:
        parse(raw)
    assert refused.value.next_step
    return refused.value


@pytest.mark.parametrize("document", [WAZUH_LINE, WAZUH_HIT], ids=["line", "indexer hit"])
def test_a_wazuh_alert_reads_the_same_in_both_envelopes(document: dict[str, object]) -> None:
    alert = only(document)
    assert (alert.source, alert.source_ref) == ("wazuh", "siem-1/1772427967.4242")
    assert alert.title == "sshd: brute force trying to get access to the system."
    assert (alert.severity, alert.severity_original) == ("medium", "10")
    assert alert.occurred_at == datetime(2026, 3, 2, 5, 6, 7, 891000, tzinfo=UTC)
    assert alert.fields["data"] == WAZUH_LINE["data"]
    assert "_index" not in alert.fields


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (0, "informational"),
        (3, "informational"),
        (4, "low"),
        (6, "low"),
        (7, "medium"),
        (11, "medium"),
        (12, "high"),
        (14, "high"),
        (15, "critical"),
        (16, "critical"),
    ],
)
def test_wazuh_levels_on_our_scale(level: int, severity: str) -> None:
    assert only(WAZUH_LINE | {"rule": {"level": level, "description": "x"}}).severity == severity


@pytest.mark.parametrize("level", [-1, 17, "10", 10.5, True, None])
def test_a_level_that_wazuh_does_not_have_is_refused(level: object) -> None:
    document = WAZUH_LINE | {"rule": {"level": level, "description": "x"}}
    assert "document: rule.level" in str(refusal(json.dumps(document).encode()))


def test_two_managers_may_use_the_same_id() -> None:
    """An id is unique on one manager only; taking two alerts for one would lose the second."""
    other = WAZUH_LINE | {"manager": {"name": "siem-2"}}
    assert only(other).source_ref != only(WAZUH_LINE).source_ref
    without = {key: value for key, value in WAZUH_LINE.items() if key != "manager"}
    assert only(without).source_ref == "1772427967.4242"


def test_the_generic_shape() -> None:
    assert only(GENERIC) == ParsedAlert(
        source="mail-gateway",
        source_ref="4711",
        title="Reported as phishing",
        severity="high",
        severity_original="high",
        occurred_at=datetime(2026, 3, 2, 5, 6, 7, tzinfo=UTC),
        link="https://gateway.example/4711",
        fields={"sender": "a@example.org", "score": 9.5},
    )


def test_the_generic_shape_needs_three_fields_only() -> None:
    alert = only({"source": "script", "source_ref": "1", "title": "Disk full"})
    assert (alert.severity, alert.occurred_at, alert.link, alert.fields) == ("medium", None, None, {})


def test_lists_and_lines_hold_several_alerts() -> None:
    other = GENERIC | {"source_ref": "4712"}
    refs = ["4711", "4712"]
    assert [a.source_ref for a in parse(json.dumps([GENERIC, other]).encode())] == refs
    lines = json.dumps(GENERIC) + "\n\n" + json.dumps(other) + "\n"
    assert [a.source_ref for a in parse(lines.encode())] == refs
    assert [a.source_ref for a in parse(json.dumps(GENERIC, indent=2).encode())] == ["4711"]


def test_one_bad_alert_refuses_the_document_and_says_which() -> None:
    bad = GENERIC | {"severity": "urgent"}
    assert str(refusal(json.dumps([GENERIC, bad]).encode())).startswith("item 2: severity: is 'urgent'")
    lines = json.dumps(GENERIC) + "\n" + json.dumps(bad)
    assert str(refusal(lines.encode())).startswith("line 2: severity")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": ""}, "source: is empty"),
        ({"source": 7}, "source: is a number"),
        ({"source_ref": None}, "source_ref: is missing"),
        ({"source_ref": "x" * 301}, "source_ref: must be one line"),
        ({"source_ref": "4711\n"}, "source_ref: must be one line"),
        ({"source_ref": "47\u202e11"}, "source_ref: must be one line"),
        ({"title": ["a"]}, "title: is a list"),
        ({"title": "  "}, "title: is empty"),
        ({"severity": "urgent"}, "severity: is 'urgent'"),
        ({"severity": 3}, "severity: is a number"),
        ({"occurred_at": "yesterday"}, "occurred_at: 'yesterday' is not a time"),
        ({"occurred_at": "2026-03-02T05:06:07"}, "has no offset"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "is not a time"),
        ({"occurred_at": 1772427967}, "occurred_at: is a number"),
        ({"link": "javascript:alert(1)"}, "link: only an http or https address"),
        ({"link": "javascript://a.example/%0aalert(1)"}, "link: only an http or https address"),
        ({"link": "https:/a.example"}, "link: only an http or https address"),
        ({"link": "https://a.example/ x"}, "link: only an http or https address"),
        ({"link": "https://x\r\nSet-Cookie: a"}, "link: only an http or https address"),
        ({"link": "https://[x"}, "link: only an http or https address"),
        ({"fields": [1]}, "fields: is a list; it must be an object"),
        ({"hostname": "web"}, "hostname: not a field of the generic shape; put your own values under 'fields'"),
    ],
)
def test_wrong_values_are_refused_with_their_place(change: dict[str, object], reason: str) -> None:
    assert reason in str(refusal(json.dumps(GENERIC | change).encode()))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "holds no alert"),
        (b"[]", "holds no alert"),
        (b"3", "an alert is a JSON object, this is a number"),
        (b"null", "this is missing"),
        (b"{}", "neither our generic shape"),
        (b'{"source": "a"', "line 1, column 15"),
        (b"\xff\xfe{\x00}\x00", "byte 0 is not UTF-8"),
        (b'{"source": "a", "source": "b"}', "the key 'source' occurs twice"),
        (b'{"source": {"a": 1, "a": 2}}', "the key 'a' occurs twice"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1e999}', "is too large"),
        (b'{"a": "' + b"x" * MAX_BYTES + b'"}', "bytes are more than the 1048576"),
        (b'{"a": ' + b"[" * 100_000, "nested more than 32 levels deep"),
        (b'{"a": ' + b'{"a": ' * 32 + b"1" + b"}" * 33, "nested more than 32 levels deep"),
        (b"[" + b",".join(b"{}" for _ in range(1001)) + b"]", "1001 values are more"),
        (json.dumps({str(n): n for n in range(5001)}).encode(), "more than 5000 keys"),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else value,
)
def test_hostile_documents_are_refused(raw: bytes, reason: str) -> None:
    assert reason in str(refusal(raw))


def test_brackets_inside_text_do_not_count_as_depth() -> None:
    assert only(GENERIC | {"title": '[{\\" ' * 50}).title.startswith("[{")


def test_odd_characters_do_not_keep_an_alert_out() -> None:
    """Whoever can put a NUL or half a surrogate pair into a log line must not be able to hide the alert about it."""
    raw = (
        b'{"source": "s", "source_ref": "1", "title": "a\\u0000b\\nc\\u202ed",'
        b' "fields": {"\\ud800": "\\udfffz\\u0000"}}'
    )
    (alert,) = parse(raw)
    assert alert.title == "a\ufffdb c d"
    assert alert.fields == {"\ufffd": "\ufffdz\ufffd"}
    json.dumps(alert.fields, ensure_ascii=False).encode("utf-8")


def test_numbers_that_readers_disagree_about_are_kept_digit_by_digit() -> None:
    fields = only(GENERIC | {"fields": {"filetime": 133355377959700000, "small": -5, "bool": True}}).fields
    assert fields == {"filetime": "133355377959700000", "small": -5, "bool": True}
    (alert,) = parse(b'{"source": "s", "source_ref": "1", "title": "t", "fields": {"n": ' + b"9" * 5000 + b"}}")
    assert alert.fields["n"] == "9" * 5000


def test_a_long_title_is_cut_visibly() -> None:
    title = only(GENERIC | {"title": "x" * 1000}).title
    assert len(title) == 300
    assert title.endswith("…")


def test_a_byte_order_mark_is_forgiven() -> None:
    (alert,) = parse(b"\xef\xbb\xbf" + json.dumps(GENERIC).encode())
    assert alert.source == "mail-gateway"


def test_a_named_shape_is_not_guessed() -> None:
    with pytest.raises(AlertRefused, match=r"rule.level"):
        parse(json.dumps(GENERIC).encode(), "wazuh")


def test_the_example_in_the_refusal_is_itself_taken() -> None:
    example = re.search(r"\{.*\}", AlertRefused.next_step.replace("{…}", "{}"))
    assert example
    assert parse(example[0].encode())[0].source_ref == "4711"


def test_real_wazuh_alerts_if_there_are_some_beside_the_repository(pytestconfig: pytest.Config) -> None:
    """The fixtures above are shaped like real ones; reading real ones wherever they are at hand keeps them so."""
    folder = Path(pytestconfig.rootpath).parent / "shared" / "corpus" / "alerts" / "wazuh"
    for file in sorted(folder.glob("*.json")):
        (alert,) = parse(file.read_bytes())
        assert alert.source == "wazuh"
        assert alert.occurred_at is not None
    assert only(WAZUH_LINE).fields.keys() >= {"rule", "agent", "data", "full_log"}
