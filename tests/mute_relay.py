"""A relay that gets no events, as if none arrived: what it puts on record it has read from Prefect's API."""

import asyncio

from case_store.settings import Settings
from flows import processes
from flows.relay.follow import Follower


async def _lose(*_: object) -> None:
    return


if __name__ == "__main__":
    Follower._on_event = _lose  # type: ignore[method-assign, assignment]
    asyncio.run(processes.relay(Settings()))
