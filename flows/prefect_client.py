"""One client of Prefect's API for a whole process, which loses no time to a busy SQLite or a server that restarts.

On SQLite the Prefect server answers 503 whenever two of its writers meet; nothing was written then, and the same
request succeeds a moment later. Prefect's client waits two seconds before it tries again; this one tries again at once.
A server that is down answers nothing: Prefect's client doubles its pauses up to half a minute, this one knocks twice a
second, so that work goes on as soon as the server is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from time import monotonic

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.context import AsyncClientContext

_KNOCK_EVERY = 0.5
_KNOCK_FOR = 60.0
# Together about three seconds; after that Prefect's own client takes its turn with longer pauses.
_PAUSES = (0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.5, 0.8, 1.2)


class PatientTransport(httpx.AsyncBaseTransport):
    """Sends a request again that was refused with 503 because the server's database was busy."""

    def __init__(self, inner: httpx.AsyncBaseTransport | None = None) -> None:
        self._inner = inner or httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and again while the server is only busy."""
        for pause in _PAUSES:
            response = await self._connected(request)
            if not _is_only_busy(response):
                return response
            await response.aclose()
            await asyncio.sleep(pause)
        return await self._connected(request)

    async def _connected(self, request: httpx.Request) -> httpx.Response:
        """Send a request as soon as the server takes a connection; until then nothing was sent."""
        deadline = monotonic() + _KNOCK_FOR
        while True:
            try:
                return await self._inner.handle_async_request(request)
            except httpx.ConnectError:
                if monotonic() > deadline:
                    raise
            await asyncio.sleep(_KNOCK_EVERY)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def _is_only_busy(response: httpx.Response) -> bool:
    waits_for_more = {"retry-after", "prefect-maintenance"} & set(response.headers)
    return response.status_code == HTTPStatus.SERVICE_UNAVAILABLE and not waits_for_more


@asynccontextmanager
async def prefect_client() -> AsyncIterator[PrefectClient]:
    """Yield the client of this process; everything below, Prefect's engine too, uses the same one."""
    if (current := AsyncClientContext.get()) is not None:
        yield current.client
        return
    context = AsyncClientContext(httpx_settings={"transport": PatientTransport()})
    # Prefect hands its shared client out only to those who ask for the same settings, and its engine asks for none.
    context._httpx_settings = None  # noqa: SLF001
    async with context:
        yield context.client
