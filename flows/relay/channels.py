"""The channels that this installation has set up, by name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta

from prefect.client.orchestration import PrefectClient

from case_store.settings import Settings
from flows import blocks
from flows.channel_setups import Setup, from_environment
from flows.keep_going import at_last
from flows.prefect_client import AWAY
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


async def every_channel(ours: Mapping[str, Notifier], settings: Settings, client: PrefectClient) -> dict[str, Notifier]:
    """Return a notifier for each channel that is set up: those of the environment, and those that only a block sets up.

    Waits for Prefect: a message by a channel that nobody knows yet would be given up. A channel that a block sets up
    wrongly takes no message until that is mended.

    Args:
        ours: The channels of the environment.
        settings: What the installation decides.
        client: Who is asked for the blocks.
    """
    found = dict(ours)
    what = "Messages by channels that are set up in Prefect"
    for one in await at_last(lambda: _stored(settings, client), what, every=_ASK_AGAIN, longest=_ASK_AGAIN, known=AWAY):
        channel = one.channel if isinstance(one, Setup) else one[0]
        if channel in ours:
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
    await blocks.register(client)
    return await blocks.stored(client, settings)


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
