"""Opening the case store for a command, with words for what can be wrong with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from case_store.settings import Settings
from case_store.store import CaseStore


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[CaseStore]:
    """Open the case store of these settings and close it at the end."""
    store = await CaseStore.open(settings)
    try:
        yield store
    finally:
        await store.close()
