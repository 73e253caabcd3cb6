"""What processes put on record about their installation: settings and SOPs that are others than the last on record."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from case_store import configuration, sop_changes
from case_store.actor import Actor
from flows.clock import now
from flows.resources import Resources
from sop.library import Library, directories
from sop.loader import LoadedSop


async def note_set_up(own: Resources, process: str) -> None:
    """Put on record what changed since a process started last.

    Args:
        own: The resources of this process.
        process: What it is: serve, relay or worker.
    """
    by, settings = Actor.system(process), own.settings
    await configuration.note(own.store, settings, process, by=by, at=now())
    library = await asyncio.to_thread(Library.survey, directories(settings.sops), settings.actions)
    async with own.store.transaction() as tx:
        await sop_changes.note_library(tx, library.sops.values(), by=by, at=now())


async def note_deployed(own: Resources, deployed: Iterable[LoadedSop]) -> None:
    """Put on record which SOPs Prefect was given in words that it did not have."""
    async with own.store.transaction() as tx:
        await sop_changes.note_deployed(tx, deployed, by=Actor.system("deploy"), at=now())
