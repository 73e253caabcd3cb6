"""Prefect's events about runs, as a stream that survives the server's restarts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from prefect.events import Event
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from websockets.exceptions import WebSocketException

from flows.keep_going import keep_going
from flows.prefect_client import AWAY

_PAUSE = 1.0

_FLOW_RUN = "prefect.flow-run."


async def listen(
    events: Sequence[str],
    on_event: Callable[[Event], Awaitable[None]],
    on_connected: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Call `on_event` for every event with one of these names or prefixes (ending in `*`), until cancelled.

    `on_connected` is called after each connection: what happened before may have been missed.
    """
    exact = [name for name in events if not name.endswith("*")]
    prefixes = [name.removesuffix("*") for name in events if name.endswith("*")]
    wanted = EventFilter(event=EventNameFilter(name=exact or None, prefix=prefixes or None))

    async def step() -> None:
        async with get_events_subscriber(filter=wanted, reconnection_attempts=0) as subscriber:
            if on_connected is not None:
                await on_connected()
            async for event in subscriber:
                await on_event(event)

    await keep_going(step, "Events from Prefect", every=_PAUSE, longest=_PAUSE, known=(*AWAY, WebSocketException))


def run_id(event: Event) -> UUID:
    """Return the id of the run that an event is about."""
    return UUID(event.resource.id.rsplit(".", 1)[-1])


def is_flow_run(event: Event) -> bool:
    """Say whether an event is about a flow run."""
    return event.resource.id.startswith(_FLOW_RUN)
