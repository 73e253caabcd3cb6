"""A relay's post alone, without Prefect: sends what is due by one channel until it is killed.

The provider is the test itself, across a connection on loopback: it counts what it takes, and outlives the relay.
"""

import asyncio
import contextlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from case_store.actor import Actor
from case_store.errors import StoreError
from case_store.outbox import Policy
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.relay.lane import Lane
from flows.relay.writing import Writer
from notifiers.contract import Found, Message, Notifier, Outcome
from notifiers.email import EmailNotifier
from notifiers.settings import EmailConfig, SmsConfig
from notifiers.sms import SmsNotifier
from notifiers.testing.twilio import FakeTwilio

BY = Actor.system("relay")
CHANNEL = "email"
POLL_GAP = timedelta(milliseconds=50)


class Provider:
    """Takes messages by their keys, and says whether it has one. `async with` listens."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                word, key = line.decode().split()
                if word == "send":
                    async with self.news:
                        self.taken[key] += 1
                        self.news.notify_all()
                writer.write(b"yes\n" if self.taken[key] else b"no\n")
                await writer.drain()
        writer.close()

    async def wait_for(self, total: int) -> None:
        """Wait until it has taken so many, repeats included."""
        async with self.news:
            await self.news.wait_for(lambda: self.taken.total() >= total)


class Line:
    """The channel to the provider."""

    channel = CHANNEL
    deadline = timedelta(milliseconds=250)

    def __init__(self, port: int, *, can_find: bool) -> None:
        self.port, self.can_find = port, can_find

    async def send(self, message: Message) -> Outcome:
        await self._ask("send", message)
        return Outcome.ok(f"<{message.dedup_key}>")

    async def find(self, message: Message, since: datetime) -> Found | None:
        return Found(f"<{message.dedup_key}>", "sent") if await self._ask("find", message) else None

    async def _ask(self, word: str, message: Message) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{word} {message.dedup_key}\n".encode())
        answer = await reader.readline()
        writer.close()
        return answer == b"yes\n"

    async def close(self) -> None:
        """Hold nothing."""


def channel_to(kind: str, port: int) -> Notifier:
    """Return the channel to a provider on a port of loopback: ours with a toy of a provider, or one that we ship."""
    if kind == "letters":
        return EmailNotifier(
            EmailConfig(
                host="127.0.0.1", port=port, encryption="none", sender="soc@corp.example",
                step_timeout=2, receipt_timeout=3, deadline=5,
            )
        )  # fmt: skip
    if kind == "texts":
        return SmsNotifier(
            SmsConfig(
                account_sid=FakeTwilio.account_sid, auth_token=SecretStr(FakeTwilio.auth_token),
                messaging_service_sid="MG" + "1" * 32, base_url=f"http://127.0.0.1:{port}",
                connect_timeout=1, deadline=2,
            )
        )  # fmt: skip
    return Line(port, can_find=kind == "can be asked")


def relay(url: str, home: Path, kind: str, port: int) -> None:
    """Send for ever; runs in a process that is killed."""
    asyncio.run(_relay(url, home, kind, port))


async def _relay(url: str, home: Path, kind: str, port: int) -> None:
    store = await CaseStore.open(Settings(home=home, database_url=url))
    lane = lane_of(store, channel_to(kind, port))
    while True:
        with contextlib.suppress(StoreError):
            if await lane.send_due():
                continue
        await asyncio.sleep(0.02)


def lane_of(store: CaseStore, channel: Notifier) -> Lane:
    """Return the lane that both the relays and the test use."""
    writer = Writer("https://casewright.example/")
    return Lane(store, channel.channel, channel, writer, Policy({}), BY, lambda: datetime.now(UTC), POLL_GAP)


__all__ = ["BY", "CHANNEL", "Provider", "channel_to", "lane_of", "relay"]
