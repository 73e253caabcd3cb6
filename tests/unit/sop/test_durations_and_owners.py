from datetime import timedelta

import pytest

from sop.durations import format_duration, parse_duration
from sop.owners import Owner, parse_owner


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("1h", 3600), ("2d", 172_800), ("1h30m", 5400), ("90s", 90), ("1d1s", 86_401)]
)
def test_durations_are_days_hours_minutes_and_seconds(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "0m", "30", "m", "1.5h", "30m1h", "-1h", "1H", "1h ", "1h\n", "99999d", "\u0661h"]
)
def test_anything_else_is_no_duration(text):
    with pytest.raises(ValueError, match=r"is (not a duration|no time at all)"):
        parse_duration(text)


def test_a_duration_is_written_the_short_way():
    assert format_duration(timedelta(minutes=90)) == "1h30m"
    assert format_duration(timedelta(0)) == "0s"


@pytest.mark.parametrize(
    ("rule", "owner"),
    [
        ("case-owner", Owner("case-owner")),
        ("role:incident-manager", Owner("role", "incident-manager")),
        ("user:ada.lovelace@example.org", Owner("user", "ada.lovelace@example.org")),
    ],
)
def test_owner_rules(rule, owner):
    assert parse_owner(rule) == owner


@pytest.mark.parametrize("rule", ["", "tier1", "role:", "role:Tier 1", "group:x", "user:a\n", "case-owner:x"])
def test_anything_else_is_no_owner(rule):
    with pytest.raises(ValueError, match="is not an owner rule"):
        parse_owner(rule)
