"""Has what is late told: by a run of the deployment `escalation`, and by the relay itself where no run comes to it.

The relay looks every two seconds and not a schedule of Prefect's, for the reason that `sweep.keep_sweeping` gives; and
so there is a run only when there is something to tell.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from prefect.client.orchestration import PrefectClient

from case_store.errors import StoreError
from flows import escalation, names, runs
from flows.clock import now
from flows.resources import Resources

log = logging.getLogger(__name__)

_LOOK_EVERY = 2.0
PATIENCE = timedelta(seconds=10)
"""How long a run may take to come to something before the relay does it itself."""


async def keep_escalating(own: Resources, client: PrefectClient) -> None:
    """Have what is late told, until cancelled."""
    while True:
        try:
            if await escalation.anything_due(own.store, now):
                await have_told(own, client)
        except StoreError as error:
            log.warning("What is late waits: %s", error)
        await asyncio.sleep(_LOOK_EVERY)


async def have_told(own: Resources, client: PrefectClient, patience: timedelta = PATIENCE) -> None:
    """Start a run, and do by ourselves what has been waiting since before it and is still there when patience ends."""
    waiting = now()
    if await _started(client):
        await asyncio.sleep(patience.total_seconds())
    if await escalation.anything_due(own.store, lambda: waiting):
        told = await escalation.escalate_once(own)
        log.info("Told without a run of Prefect: %s", told)


async def _started(client: PrefectClient) -> bool:
    try:
        deployment = await runs.deployment_id(client, names.ESCALATION)
        # The same for a quarter of a minute: several relays start one run between them.
        key = f"escalation:{int(now().timestamp()) // 15}"
        await client.create_flow_run_from_deployment(deployment, idempotency_key=key)
    except Exception as error:  # noqa: BLE001 - Prefect is away, or not deployed to yet
        log.info("No run for what is late (%s: %s)", type(error).__name__, error)
        return False
    return True
