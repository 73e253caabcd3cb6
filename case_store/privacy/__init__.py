"""Erasure of personal values: of a person, of something in a case, of closed cases; and what a legal hold keeps.

What is erased is overwritten in the tables and no longer disclosed; the audit events, their chain and the tree stay.
"""

from case_store.privacy.content import CONTENT, ErasedContent, due, due_alerts, erase_alert, erase_case, redact
from case_store.privacy.legal_holds import hold_case, hold_person, release_case, release_person
from case_store.privacy.person import ErasedPerson, Traces, erase_person, refuse_kept, traces
from case_store.privacy.refusals import Held, StillAtWork

__all__ = [
    "CONTENT",
    "ErasedContent",
    "ErasedPerson",
    "Held",
    "StillAtWork",
    "Traces",
    "due",
    "due_alerts",
    "erase_alert",
    "erase_case",
    "erase_person",
    "hold_case",
    "hold_person",
    "redact",
    "refuse_kept",
    "release_case",
    "release_person",
    "traces",
]
