"""The audit trail: what is written with every change, and how it is read back."""

from case_store.audit.exports import Exported, Selection, export
from case_store.audit.trail import (
    RunState,
    TrailEvent,
    last_id,
    newest_checkpoint,
    note_run_states,
    tail,
)

__all__ = [
    "Exported",
    "RunState",
    "Selection",
    "TrailEvent",
    "export",
    "last_id",
    "newest_checkpoint",
    "note_run_states",
    "tail",
]
