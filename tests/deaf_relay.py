"""A relay that does everything but follow: it neither hears Prefect's events nor reads what it missed."""

import asyncio

from case_store.settings import Settings
from flows import processes
from flows.relay.follow import Follower


async def _hear_nothing(_: Follower) -> None:
    await asyncio.Event().wait()


if __name__ == "__main__":
    Follower.run = _hear_nothing  # type: ignore[method-assign, assignment]
    asyncio.run(processes.relay(Settings()))
