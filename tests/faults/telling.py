"""A process that tells what is late, until it is done or killed."""

import asyncio
from datetime import datetime
from pathlib import Path

from case_store import on_call
from case_store.settings import Settings
from case_store.store import CaseStore
from flows import escalation


def tell(url: str, home: Path, at: datetime) -> None:
    """Tell everything that has come by a moment."""
    asyncio.run(_tell(url, home, at))


async def _tell(url: str, home: Path, at: datetime) -> None:
    store = await CaseStore.open(Settings(home=home, database_url=url))
    await escalation.tell_all(store, on_call.Roster(), lambda: at)
    await store.close()
