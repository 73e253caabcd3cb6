"""The audit trail: what is written with every change, and how it is read back."""

from case_store.audit.exports import Exported, Selection, export
from case_store.audit.run_states import RunState, note_run_states, run_states
from case_store.audit.trail import (
    TrailEvent,
    last_id,
    newest_checkpoint,
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
    "run_states",
    "tail",
]
