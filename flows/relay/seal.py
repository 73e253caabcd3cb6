"""Brings new audit events into the tree over all events, and has each step signed."""

from __future__ import annotations

import asyncio
import logging

from case_store.audit import keys, log_keys, sequencer, status
from case_store.audit.checkpoints import Signer
from case_store.audit.sequencer import Sealed
from case_store.errors import AuditKeyUnusable, NotTheLogsKey
from flows.clock import now
from flows.keep_going import keep_going
from flows.resources import Resources

log = logging.getLogger(__name__)

_LOOK_EVERY = 1.0
_KEY_AGAIN = 30.0


async def seal_events(own: Resources) -> None:
    """Seal what waits, until cancelled."""
    signer: Signer | None = None

    async def step() -> bool:
        nonlocal signer
        signer = signer or await _key(own)
        try:
            sealed = await sequencer.seal(own.store, signer, now())
        except NotTheLogsKey as error:
            signer = await _right_key(own, error)
            return True
        _warn_if_late(sealed)
        return sealed is not None and sealed.events >= sequencer.BATCH

    await keep_going(step, "New audit events wait to be sealed", every=_LOOK_EVERY)


def _warn_if_late(sealed: Sealed | None) -> None:
    if sealed is not None and sealed.waited > status.LONGEST_DELAY:
        log.warning(
            "Audit events waited %.1f s to be sealed; %.0f s is the limit. See: casewright audit status",
            sealed.waited.total_seconds(),
            status.LONGEST_DELAY.total_seconds(),
        )


async def _key(own: Resources) -> Signer:
    """Return the key; while it cannot be read, cases go on and their events wait to be sealed."""
    while True:
        try:
            return await asyncio.to_thread(keys.load_or_create, own.settings.keys)
        except AuditKeyUnusable as error:
            log.error("Nothing is sealed: %s", error.diagnostics())  # noqa: TRY400 - the reason is the message
            await asyncio.sleep(_KEY_AGAIN)


async def _right_key(own: Resources, error: NotTheLogsKey) -> Signer:
    """Return the log's key once the folder has it: it was changed since we read it, or this machine never had it.

    What an interrupted change of the key left undone in the folder is done here.
    """
    while True:
        try:
            found = await asyncio.to_thread(keys.take_next, own.settings.keys, error.current)
        except AuditKeyUnusable as unusable:
            log.error("Nothing is sealed here: %s", unusable.diagnostics())  # noqa: TRY400 - the reason is the message
        else:
            if found is not None:
                log.info("The audit log is signed by its new key from now on, %s", found.verifier())
                return found
            log.error("Nothing is sealed here: %s", error.diagnostics())
        await asyncio.sleep(_KEY_AGAIN)
        async with own.store.reading() as tx:
            row = await log_keys.current(tx)
        error = NotTheLogsKey(error.held, row.vkey if row is not None else error.current)
