"""When tasks are due: by the severity of the case, in the working time that the SOP names."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from case_store import migrate, sla
from case_store.models import Case
from case_store.settings import Settings
from case_store.store import CaseStore
from sop.loader import loads
from sop.model import Sop

FRIDAY = datetime(2026, 3, 6, 16, 0, tzinfo=ZoneInfo("Europe/Berlin"))
MONDAY = datetime(2026, 3, 9, 9, 0, tzinfo=ZoneInfo("Europe/Berlin"))
SOP = """\
sop: stolen-laptop
version: 1
title: A laptop is gone
hours: office
stages:
  - key: report
    title: Take the report
    sla: {critical: 1h, high: 30m, otherwise: 2h}
    tasks:
      - {key: call, title: Call the owner back}
"""
OFFICE = """\
office:
  zone: Europe/Berlin
  hours: {mon-fri: 08:00-17:00}
"""


async def due(folder: Path, severity: str, sop: Sop) -> datetime | None:
    settings = Settings(home=folder, sops=(folder,))
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    try:
        async with store.reading() as tx:
            return sla.due(tx, Case(severity=severity), sop, sop.stages[0].sla, FRIDAY)
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("severity", "expected"),
    [("high", FRIDAY + timedelta(minutes=30)), ("low", MONDAY), ("critical", FRIDAY + timedelta(hours=1))],
)
async def test_the_time_of_the_severity_in_office_hours(tmp_path: Path, severity: str, expected: datetime):
    (tmp_path / "calendars.yaml").write_text(OFFICE)
    assert await due(tmp_path, severity, loads(SOP).sop) == expected


async def test_a_critical_case_runs_around_the_clock(tmp_path: Path):
    (tmp_path / "calendars.yaml").write_text(OFFICE)
    late = SOP.replace("critical: 1h", "critical: 9h")
    assert await due(tmp_path, "critical", loads(late).sop) == FRIDAY.astimezone(UTC) + timedelta(hours=9)


async def test_a_calendar_that_is_gone_puts_nothing_off(tmp_path: Path):
    assert await due(tmp_path, "low", loads(SOP).sop) == FRIDAY + timedelta(hours=2)
    (tmp_path / "calendars.yaml").write_text("office: broken")
    assert await due(tmp_path, "low", loads(SOP).sop) == FRIDAY + timedelta(hours=2)


async def test_without_a_time_nothing_is_due(tmp_path: Path):
    sop = loads(SOP.replace("otherwise: 2h", "medium: 2h")).sop
    assert await due(tmp_path, "low", sop) is None
