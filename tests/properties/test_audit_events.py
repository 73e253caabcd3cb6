"""The body of an event is canonical JSON, whatever is in it (RFC 8785, as far as events go)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from case_store.actor import Actor
from case_store.audit.events import GREATEST_INTEGER, Event, Place, Subject, canonical, rfc3339

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates and controls too
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
ZONES = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001
VALUES = st.recursive(
    SCALARS | TIMES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)
FACTS = st.dictionaries(TEXT, VALUES, max_size=5)


def event(facts: dict[str, object], changes: dict[str, tuple[object, object]] | None = None) -> Event:
    return Event(
        event_id="e",
        at=NOW,
        type="test.wrote",
        stream="system",
        by=Actor.system("test"),
        request_id="r",
        subject=Subject("task", "t", 1),
        changes=changes or {},
        facts=facts,
    )


PLACE = Place(1, None)


def values(of: object) -> Iterator[object]:
    """Every value in a JSON value, and every key."""
    yield of
    if isinstance(of, dict):
        for key, item in of.items():
            yield from (key, *values(item))
    elif isinstance(of, list):
        for item in of:
            yield from values(item)


@given(FACTS, VALUES, VALUES)
def test_a_body_is_canonical(facts: dict[str, object], before: object, after: object):
    body = event(facts, {"field": (before, after)}).body(PLACE)
    read = json.loads(body)
    assert rfc8785.dumps(read) == body.encode()  # somebody else's encoder writes the same bytes
    for value in values(read):
        assert not isinstance(value, float)
        assert not isinstance(value, int) or abs(value) <= GREATEST_INTEGER
    for key in (key for value in values(read) if isinstance(value, dict) for key in value):
        assert key.isascii()


@given(VALUES)
def test_the_canonical_form_of_the_canonical_form_of_values_is_itself(value: object):
    """Except keys, whose backslashes are escaped once more: see the next test."""
    if not any("\\" in key for part in values(value) if isinstance(part, dict) for key in canonical(part, "x")):
        once = canonical(value, "x")
        assert canonical(once, "x") == once


@given(st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("\\xue9é0")), st.none()))
def test_no_two_keys_meet(keys: dict[str, None]):
    assert len(canonical(keys, "x")) == len(keys)


@given(TIMES)
def test_times_are_utc_to_the_microsecond_and_sort_as_they_happened(at: datetime):
    text = rfc3339(at)
    assert datetime.fromisoformat(text) == at
    assert text.endswith("Z")
    assert len(text) == len("2026-03-02T09:30:00.123456Z")
    later = at + timedelta(microseconds=1)
    assert rfc3339(later) > text


def test_the_form_of_a_body_is_fixed():
    """Bodies are hashed and kept for years: this text changes only with `schema_v`."""
    facts = {"é\\": 1.5, "big": 2**53, "nul": "\x00\u2028\U0001f600", "lone": "\ud800", "at": NOW}
    assert event(facts, {"state": ("waiting", "open")}).body(PLACE) == (
        '{"actor":{"id":"test","kind":"system"},"changes":{"state":["waiting","open"]},'
        '"entity":{"id":"t","type":"task","version":1},"event_id":"e",'
        '"facts":{"\\\\xe9\\\\\\\\":"1.5","at":"2026-03-02T09:30:00.000000Z","big":"9007199254740992",'
        '"lone":"\ufffd","nul":"\ufffd\u2028\U0001f600"},'
        '"prev":null,"request_id":"r","schema_v":3,"seq":1,"stream":"system","ts":"2026-03-02T09:30:00.000000Z","type":"test.wrote"}'
    )
