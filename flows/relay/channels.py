"""The channels that this installation has set up, by name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import timedelta

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectException

from case_store.settings import Settings
from flows import blocks
from flows.channel_setups import Setup, from_environment
from notifiers.contract import Message, Notifier, Outcome
from notifiers.errors import SettingsRefused
from notifiers.reaching import CannotBeAsked
from notifiers.trace import untold

log = logging.getLogger(__name__)

_ASK_AGAIN = 5.0


def channels(settings: Settings) -> dict[str, Notifier]:
    """Return a notifier for each channel that the environment sets up.

    Raises:
        SettingsRefused: A channel is set up wrongly.
    """
    return _made(from_environment(settings))


async def every_channel(settings: Settings, client: PrefectClient) -> dict[str, Notifier]:
    """Return a notifier for each channel that is set up, by the environment or else by a block.

    Waits for Prefect: a message by a channel that nobody knows yet would be given up.

    Raises:
        SettingsRefused: The environment sets a channel up wrongly. One that a block sets up wrongly takes no message
            until that is mended.
    """
    ours = channels(settings)
    return {**await _of_blocks(settings, client, ours.keys()), **ours}


async def _of_blocks(settings: Settings, client: PrefectClient, taken: Iterable[str]) -> dict[str, Notifier]:
    found: dict[str, Notifier] = {}
    for one in await _stored(settings, client):
        channel = one.channel if isinstance(one, Setup) else one[0]
        if channel in taken:
            continue
        try:
            if not isinstance(one, Setup):
                raise one[1]
            found[channel] = one.make(untold)
            log.info("Messages go by %s as the %s says: %s", channel, one.origin, one.told)
        except SettingsRefused as refused:
            log.error("No message goes by %s: %s", channel, refused.diagnostics())  # noqa: TRY400 - it says all
            found[channel] = Misconfigured(channel, str(refused))
    return found


async def _stored(settings: Settings, client: PrefectClient) -> list[Setup | tuple[str, SettingsRefused]]:
    said = False
    while True:
        try:
            await blocks.register(client)
            return await blocks.stored(client, settings)
        except (httpx.HTTPError, PrefectException) as error:
            if not said:
                log.warning("Messages wait until Prefect says which channels are set up there: %s", error)
            said = True
        await asyncio.sleep(_ASK_AGAIN)


def _made(found: Iterable[Setup]) -> dict[str, Notifier]:
    return {one.channel: one.make(untold) for one in found}


class Misconfigured(CannotBeAsked):
    """Stands for a channel whose block does not do: its messages wait until an administrator has mended it."""

    deadline = timedelta(seconds=1)

    def __init__(self, channel: str, reason: str) -> None:
        self.channel, self._reason = channel, reason

    async def send(self, message: Message) -> Outcome:  # noqa: ARG002 - the contract's
        """Say what is wrong."""
        return Outcome.permanent(self._reason, channel_fault=True)

    async def close(self) -> None:
        """Do nothing."""
