"""Ladders over ninety days against a model of its own: both changes of the clock, a leap day, holidays, a day's outage.

Meanwhile tasks are paused, handed over and acknowledged, cases get another severity, people are away and others stand
in, and who is on call changes. The long edition is in tests/faults/test_lateness.py. The spring on PostgreSQL is part
of `make faults`: the calendar is the same, and it takes a minute.
"""

from pathlib import Path

import pytest

from tests.store.simulated import AUTUMN, SPRING, Period
from tests.store.simulation import QUOTA, ninety_days


@pytest.mark.parametrize(
    ("database_url", "period"),
    [
        pytest.param("sqlite", SPRING, id="sqlite-spring"),
        pytest.param("sqlite", AUTUMN, id="sqlite-autumn"),
        pytest.param("postgresql", AUTUMN, id="postgresql-autumn"),
        pytest.param("postgresql", SPRING, id="postgresql-spring", marks=pytest.mark.slow),
    ],
    indirect=["database_url"],
)
async def test_each_step_once_none_early_none_missed_and_to_whom(database_url: str, tmp_path: Path, period: Period):
    told, expected, room = await ninety_days(database_url, tmp_path, period, seed=2028, number=16, in_outage=5)
    steps = [step for of_task in expected.values() for step in of_task]
    assert len(steps) > 60, "there is much to tell"
    assert any(step.missed for step in steps), "something was missed in the outage"
    assert {step.to for step in steps} == {"ada", "bob", "max", "mia", "eve"}, "everybody is told something"
    assert any(step.heard not in {None, step.to} for step in steps), "somebody stands in"
    assert told == expected
    for channel, quota in QUOTA.an_hour.items():
        assert room.most_in_an_hour(channel) == quota, "reached, and never more"
    assert any("messages in one" in subject for subject in room.subjects)
