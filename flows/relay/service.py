"""The relay as a whole: everything it does, side by side, until it is stopped."""

from __future__ import annotations

import asyncio

from prefect.client.orchestration import PrefectClient

from case_store.audit import witnesses
from case_store.audit.timestamps import Authority
from flows import sweep
from flows.relay.channels import every_channel
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


async def relay(own: Resources, client: PrefectClient) -> None:
    """Run the relay until cancelled. Its first sweep finds at once what happened while no relay ran."""
    configured = witnesses.parse_all(own.settings.witnesses)
    authority = Authority.configured(own.settings.timestamp_url, own.settings.timestamp_ca_file)
    async with asyncio.TaskGroup() as group:
        group.create_task(sweep.keep_sweeping(own, client))
        group.create_task(deliver_signals(own, client))
        group.create_task(keep_escalating(own, client))
        group.create_task(Follower(own, client).run())
        group.create_task(seal_events(own))
        group.create_task(have_witnessed(own, configured))
        group.create_task(have_stamped(own, authority))
        group.create_task(forward(own))
        group.create_task(collect_replies(own))
        group.create_task(_deliver_post(own, client))


async def _deliver_post(own: Resources, client: PrefectClient) -> None:
    await deliver_post(own, await every_channel(own.settings, client))
