"""Ladders over ninety days with a leap day, summer time, holidays and an outage of a day, against a model of its own.

The long edition is in tests/faults/test_lateness.py.
"""

from pathlib import Path

from tests.store.simulation import ninety_days


async def test_each_step_once_none_early_none_missed(database_url: str, tmp_path: Path):
    told, expected = await ninety_days(database_url, tmp_path, seed=2028, number=12)
    assert sum(map(len, expected.values())) > 60, "there is much to tell"
    assert any(missed for steps in expected.values() for _, _, missed in steps), "something was missed in the outage"
    assert told == expected
