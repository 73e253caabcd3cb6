"""Ladders over ninety days with a leap day, summer time, holidays and an outage of a day, against a model of its own.

The long edition is in tests/faults/test_lateness.py.
"""

from pathlib import Path

from tests.store.simulation import QUOTA, ninety_days


async def test_each_step_once_none_early_none_missed(database_url: str, tmp_path: Path):
    told, expected, room = await ninety_days(database_url, tmp_path, seed=2028, number=12)
    assert sum(map(len, expected.values())) > 60, "there is much to tell"
    assert any(missed for steps in expected.values() for _, _, missed in steps), "something was missed in the outage"
    assert told == expected
    for channel, quota in QUOTA.an_hour.items():
        assert room.most_in_an_hour(channel) == quota, "reached, and never more"
    assert any("messages in one" in subject for subject in room.subjects)
