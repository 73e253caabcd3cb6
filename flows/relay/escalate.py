"""Has what is late told: by a run of the deployment `escalation`, and by the relay itself where no run comes to it.

The relay looks every two seconds and not a schedule of Prefect's, for the reason that `sweep.keep_sweeping` gives; and
so there is a run only when there is something to tell.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from prefect.client.orchestration import PrefectClient

from flows import escalation, names, runs
from flows.clock import now
from flows.keep_going import Trouble, keep_going
from flows.prefect_client import Prefect
from flows.resources import Resources

log = logging.getLogger(__name__)

_LOOK_EVERY: Final = 2.0
_LOOK_MEANWHILE: Final = 0.5
_STARTING: Final = 5.0
"""Seconds that Prefect has to take a run. Its client would knock for a minute, and who is late waits here."""
_LONGEST: Final = 8.0
_LEFT_ALONE: Final = timedelta(minutes=1)
PATIENCE: Final = timedelta(seconds=10)
"""How long a run may take to come to something before the relay does it itself."""


async def keep_escalating(own: Resources, prefect: Prefect) -> None:
    """Have what is late told, until cancelled."""
    await keep_going(Escalator(own, prefect).look, escalation.WHAT, every=_LOOK_EVERY, longest=_LONGEST)


@dataclass
class Escalator:
    """Looks for what is late, and remembers what could not be told: that is tried each minute and delays nothing else.

    Attributes:
        own: The resources of this process.
        prefect: Prefect, if it is there.
        patience: How long a run may take.
    """

    own: Resources
    prefect: Prefect
    patience: timedelta = PATIENCE
    _trouble: Trouble = field(default_factory=lambda: Trouble(escalation.WHAT))
    _stuck: dict[str, datetime] = field(default_factory=dict)

    async def look(self) -> None:
        """Have told what has come, if anything has."""
        at = now()
        self._stuck = {one: until for one, until in self._stuck.items() if until > at}
        if not await escalation.anything_due(self.own.store, now, self._stuck):
            return
        if await self._started() and await self._is_told(at):
            return
        told = await escalation.escalate_once(self.own, now, self._trouble)
        self._stuck |= dict.fromkeys(told.stuck, now() + _LEFT_ALONE)
        log.info("Told without a run of Prefect: %s", told)

    async def _is_told(self, waiting: datetime) -> bool:
        """Wait until a run has told what had come by then; False when none does."""
        deadline = now() + self.patience
        while await escalation.anything_due(self.own.store, lambda: waiting, self._stuck):
            if not now() < deadline:
                return False
            await asyncio.sleep(_LOOK_MEANWHILE)
        return True

    async def _started(self) -> bool:
        client = self.prefect.at_hand
        if client is None:
            return False
        try:
            async with asyncio.timeout(_STARTING):
                return await _start(client)
        except Exception as error:  # noqa: BLE001 - Prefect is away, or not deployed to yet
            log.info("No run for what is late (%s: %s)", type(error).__name__, error)
            return False


async def _start(client: PrefectClient) -> bool:
    """Start a run; False when the one of these seconds has ended already, before something more came."""
    deployment = await runs.deployment_id(client, names.ESCALATION)
    # The same for a few seconds: several relays start one run between them.
    key = f"escalation:{int(now().timestamp()) // 5}"
    run = await client.create_flow_run_from_deployment(deployment, idempotency_key=key)
    return run.state is None or not run.state.is_final()
