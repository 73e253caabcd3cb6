"""What runs, tags, deployments and the work pool are called in Prefect.

Names carry the case's number and what the SOP calls things, never what a case is about: whoever reaches Prefect reads
them.
"""

from __future__ import annotations

WORK_POOL = "casewright"
WORKER_TYPE = "casewright"

MANUAL_TASK = "manual-task"
SWEEP = "sweep"
ESCALATION = "escalation"

TAG = "casewright"
QUESTION_TAG = "casewright:question"
_CASE_TAG = "case:"


def case_tag(number: int) -> str:
    """Return the tag that all runs of a case bear."""
    return f"{_CASE_TAG}{number}"


def number_of(tags: list[str] | set[str]) -> int | None:
    """Return the number of the case that a run with these tags belongs to; None when it belongs to none."""
    numbers = [tag.removeprefix(_CASE_TAG) for tag in tags if tag.startswith(_CASE_TAG)]
    return int(numbers[0]) if numbers and numbers[0].isdecimal() else None


def run_name(number: int, *parts: str) -> str:
    """Return a run's name: `CASE-12 · contain · block sender`."""
    return " · ".join((f"CASE-{number}", *parts))


def attribute(sop_key: str) -> str:
    """Return what `flows.sops` calls the flow of an SOP."""
    return sop_key.replace("-", "_")
