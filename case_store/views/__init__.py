"""What pages and listings show: frozen values, made in as few queries as there are kinds of rows.

Text in them is as it came in, hostile alerts included: whoever shows it escapes it.
"""

from case_store.views.case_page import (
    CasePage,
    EvidenceEntry,
    NoteEntry,
    ObservableEntry,
    StageEntry,
    TaskEntry,
    case,
)
from case_store.views.lists import AlertRow, CaseRow, PersonRow, TaskRow, alerts, cases, people, tasks
from case_store.views.report import report
from case_store.views.timeline import TimelineRow, timeline
from case_store.views.times import CaseTimes, DeadlineEntry, Duration, TimesRow, case_times, durations, times

__all__ = [
    "AlertRow",
    "CasePage",
    "CaseRow",
    "CaseTimes",
    "DeadlineEntry",
    "Duration",
    "EvidenceEntry",
    "NoteEntry",
    "ObservableEntry",
    "PersonRow",
    "StageEntry",
    "TaskEntry",
    "TaskRow",
    "TimelineRow",
    "TimesRow",
    "alerts",
    "case",
    "case_times",
    "cases",
    "durations",
    "people",
    "report",
    "tasks",
    "timeline",
    "times",
]
