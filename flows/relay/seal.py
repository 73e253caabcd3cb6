"""Brings new audit events into the tree over all events, and has each step signed."""

from __future__ import annotations

import asyncio
import logging

from case_store.audit import keys, sequencer
from case_store.audit.checkpoints import Signer
from case_store.errors import AuditKeyUnusable, StoreError
from flows.clock import now
from flows.resources import Resources

log = logging.getLogger(__name__)

_LOOK_EVERY = 1.0
_KEY_AGAIN = 30.0


async def seal_events(own: Resources) -> None:
    """Seal what waits, until cancelled."""
    signer = await _key(own)
    while True:
        try:
            sealed = await sequencer.seal(own.store, signer, now())
        except StoreError as error:
            log.warning("New audit events wait to be sealed: %s", error)
            sealed = None
        if sealed is None or sealed.events < sequencer.BATCH:
            await asyncio.sleep(_LOOK_EVERY)


async def _key(own: Resources) -> Signer:
    """Return the key; while it cannot be read, cases go on and their events wait to be sealed."""
    while True:
        try:
            return await asyncio.to_thread(keys.load_or_create, own.settings.keys)
        except AuditKeyUnusable as error:
            log.error("Nothing is sealed: %s", error.diagnostics())  # noqa: TRY400 - the reason is the message
            await asyncio.sleep(_KEY_AGAIN)
