"""Whatever else Apprise can reach: one target an installation has named.

Apprise says whether it worked, and no more. A failure counts as `temporary`: the same line twice in a chat room is the
lesser evil than none.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

from apprise import Apprise, AppriseAsset, NotifyBase, NotifyFormat

from notifiers.cleaning import lines, one_line
from notifiers.contract import Message, Outcome
from notifiers.errors import SettingsRefused
from notifiers.reaching import CannotBeAsked
from notifiers.room_settings import AppriseConfig
from notifiers.trace import Trace, untold

_LONGEST_TEXT: Final = 4000
# At lower levels it writes what it sends.
logging.getLogger("apprise").setLevel(logging.ERROR)


class AppriseNotifier(CannotBeAsked):
    """Posts each message to one target, in a thread: Apprise waits where it stands.

    Raises:
        SettingsRefused: Apprise makes nothing of the address.
    """

    def __init__(self, config: AppriseConfig, *, trace: Trace = untold) -> None:
        self.channel = f"apprise:{config.name}"
        self._config, self._trace = config, trace
        _target(config)
        self._threads: ThreadPoolExecutor | None = None

    @property
    def deadline(self) -> timedelta:
        """Time within which `send` has returned."""
        return timedelta(seconds=self._config.deadline)

    async def send(self, message: Message) -> Outcome:
        """Try once to post the message. Apprise gives it no name, so ours is the provider's reference."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(2, thread_name_prefix=self.channel)
        self._trace(f"post through Apprise ({self._config.scheme}://)")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._config.deadline):
                taken = await loop.run_in_executor(self._threads, self._post, message)
        except TimeoutError:
            return Outcome.unknown(f"{self.channel} may have the message: no end within {self._config.deadline:g} s")
        if not taken:
            return Outcome.temporary(f"{self.channel} did not take the message; Apprise does not say why")
        return Outcome.ok(message.dedup_key)

    async def close(self) -> None:
        """Let go of the threads. One that hangs ends by Apprise's own time limits."""
        if self._threads is not None:
            threads, self._threads = self._threads, None
            threads.shutdown(wait=False, cancel_futures=True)

    def _post(self, message: Message) -> bool:
        sender = Apprise()
        sender.add(_target(self._config))  # a new one each time: one that is kept sleeps between two messages
        text = lines(message.text)[:_LONGEST_TEXT]
        if message.link is not None and message.link not in text:
            text += f"{message.link}\n"
        return bool(sender.notify(body=text, title=one_line(message.subject, 250), body_format=NotifyFormat.TEXT))


def _target(config: AppriseConfig) -> NotifyBase:
    # Nothing is read from files or taken from the environment, and no escapes of its own are made of the words.
    asset = AppriseAsset(interpret_escapes=False, plugin_paths=[], secure_logging=True)
    target = Apprise.instantiate(config.url.get_secret_value(), asset=asset)
    if target is None:
        raise SettingsRefused(
            f"Apprise: {config.name}: Apprise makes nothing of this {config.scheme}:// address",
            next_step="Compare it with what Apprise's documentation asks of this kind of target.",
        )
    return target
