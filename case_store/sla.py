"""When something is due: its SLA for the case's severity, counted in the working time of the SOP's calendar."""

from __future__ import annotations

from datetime import datetime

from case_store.models import Case
from case_store.store import Tx
from sop.model import Sla, Sop
from sop.worktime import ALWAYS, Calendar


def due(tx: Tx, case: Case, sop: Sop, sla: Sla | None, start: datetime) -> datetime | None:
    """Return when the time for something is over that begins now; None when it may take as long as it takes.

    Args:
        tx: The transaction; it knows the calendars of the installation.
        case: The case; its severity says how long.
        sop: What the case runs by.
        sla: The rule for what begins.
        start: Now.
    """
    time = sla.of(case.severity) if sla else None
    return calendar(tx, case, sop).after(start, time) if time else None


def calendar(tx: Tx, case: Case, sop: Sop) -> Calendar:
    """Return when people work on a case: around the clock when it is critical, or when its SOP names no hours."""
    if sop.hours is None or case.severity == "critical":
        return ALWAYS
    return tx.calendars.get(sop.hours, ALWAYS)  # a calendar that is gone must not put anything off
