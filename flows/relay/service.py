"""The relay as a whole: everything it does, side by side, until it is stopped.

Only what brings Prefect and the case store together needs Prefect; the rest begins without it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from case_store.audit import witnesses
from case_store.audit.timestamps import Authority
from flows import sweep
from flows.prefect_client import Prefect
from flows.relay.channels import channels
from flows.relay.collect import collect_replies
from flows.relay.deliver import deliver_signals
from flows.relay.escalate import keep_escalating
from flows.relay.follow import Follower
from flows.relay.forward import forward
from flows.relay.post import deliver_post
from flows.relay.seal import seal_events
from flows.relay.stamp import have_stamped
from flows.relay.witnesses import have_witnessed
from flows.resources import Resources

MEANWHILE: Final = (
    "Signals to Prefect and its states wait, and so do messages by channels that are set up there; other messages, "
    "what is late and the audit log go on."
)


class Relay:
    """What this process relays. Making one reads the settings, and needs nothing but them.

    Raises:
        SettingsRefused: The environment sets a channel up wrongly.
        WitnessSettingRefused: It sets a witness up wrongly.
        TimestampSettingRefused: It sets the time-stamping authority up wrongly.
    """

    def __init__(self, own: Resources, prefect: Prefect) -> None:
        self._own, self._prefect = own, prefect
        self._witnesses = witnesses.parse_all(own.settings.witnesses)
        self._authority = Authority.configured(own.settings.timestamp_url, own.settings.timestamp_ca_file)
        self._channels = channels(own.settings)

    async def run(self) -> None:
        """Relay until cancelled."""
        own = self._own
        async with asyncio.TaskGroup() as group:
            group.create_task(deliver_post(own, self._channels, self._prefect))
            group.create_task(keep_escalating(own, self._prefect))
            group.create_task(seal_events(own))
            group.create_task(forward(own))
            group.create_task(collect_replies(own))
            group.create_task(have_witnessed(own, self._witnesses))
            group.create_task(have_stamped(own, self._authority))
            group.create_task(_with_prefect(own, self._prefect))


async def _with_prefect(own: Resources, prefect: Prefect) -> None:
    """Do what needs Prefect. The first sweep finds at once what happened while no relay ran."""
    client = await prefect.client()
    async with asyncio.TaskGroup() as group:
        group.create_task(sweep.keep_sweeping(own, client))
        group.create_task(deliver_signals(own, client))
        group.create_task(Follower(own, client).run())
