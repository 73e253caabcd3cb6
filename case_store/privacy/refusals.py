"""What keeps something from being erased."""

from __future__ import annotations

from case_store.errors import StoreError


class Held(StoreError):
    """A legal hold keeps this from being erased."""

    next_step = "ask whoever set the hold; it ends with: casewright case release NUMBER (or person release HANDLE)"


class StillAtWork(StoreError):
    """This person still has cases or tasks."""

    next_step = (
        "hand them over first: casewright task reassign CASE/KEY --to HANDLE; close open cases they own, or give"
        " those to somebody else"
    )
