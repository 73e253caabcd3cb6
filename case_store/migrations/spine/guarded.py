"""Which tables the triggers guard."""

AUDITED = {
    "people": "person",
    "cases": "case",
    "stages": "stage",
    "tasks": "task",
    "executions": "execution",
    "alerts": "alert",
    "observables": "observable",
    "evidence": "evidence",
    "notes": "note",
}
"""Table to entity type: each new version of a row needs its audit event."""

WRITTEN_ONCE = ("audit_events", "sops", "note_revisions")
"""Rows are added and never changed."""
