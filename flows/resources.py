"""What the flow runs of one process share: the case store, the evidence folder, the SOPs, the actions.

A long-lived process (worker, relay) opens them once and every run below it finds them; a run that the stock process
worker starts in a process of its own opens them for itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from case_store.blobs import Blobs
from case_store.settings import Settings
from case_store.store import CaseStore
from sop import actions
from sop.actions import ActionSpec


@dataclass(frozen=True)
class Resources:
    """The open case store and what belongs to it."""

    settings: Settings
    store: CaseStore
    blobs: Blobs
    actions: dict[str, ActionSpec]


_CURRENT: ContextVar[Resources] = ContextVar("casewright-resources")


@asynccontextmanager
async def resources(settings: Settings | None = None) -> AsyncIterator[Resources]:
    """Yield the resources of this process; opens them, and closes them again, where nobody above did."""
    if (current := _CURRENT.get(None)) is not None:
        yield current
        return
    settings = settings or Settings()
    store = await CaseStore.open(settings)
    opened = Resources(settings, store, Blobs(settings.blobs), actions.discover(settings.actions))
    token = _CURRENT.set(opened)
    try:
        yield opened
    finally:
        _CURRENT.reset(token)
        await store.close()
