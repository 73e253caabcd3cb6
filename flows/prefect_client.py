"""One client of Prefect's API for a whole process, which loses no time to a busy SQLite or a server that restarts.

On SQLite the Prefect server answers 503 whenever two of its writers meet; nothing was written then, and the same
request succeeds a moment later. Prefect's client waits two seconds before it tries again; this one tries again at once.
A server that is down answers nothing: Prefect's client doubles its pauses up to half a minute, this one knocks twice a
second, so that work goes on as soon as the server is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from time import monotonic
from typing import Final

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.context import AsyncClientContext
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

log = logging.getLogger(__name__)

_KNOCK_EVERY = 0.5
_KNOCK_FOR = 60.0
_ANSWER_WITHIN = 10.0
# Together about three seconds; after that Prefect's own client takes its turn with longer pauses.
_PAUSES = (0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.5, 0.8, 1.2)


AWAY: Final = (httpx.HTTPError, PrefectException, OSError)
"""What Prefect's client raises while the server is away, or does not know something yet."""


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


class Prefect:
    """Prefect as a process sees it that can do without: there, or not yet."""

    def __init__(self, client: PrefectClient | None = None) -> None:
        self._client = client
        self._came = asyncio.Event()
        if client is not None:
            self._came.set()

    @property
    def at_hand(self) -> PrefectClient | None:
        """The client; None as long as the server has not answered once."""
        return self._client

    async def client(self) -> PrefectClient:
        """Return the client as soon as the server has answered once."""
        while self._client is None:
            await self._came.wait()
        return self._client

    @asynccontextmanager
    async def coming(self, meanwhile: str) -> AsyncIterator[PrefectClient]:
        """Wait until the server answers, and yield the client of this process.

        Args:
            meanwhile: What waits and what does not, for the log.
        """
        async with AsyncExitStack() as stack:
            self._client = await _entered(stack, meanwhile)
            self._came.set()
            yield self._client


async def _entered(stack: AsyncExitStack, meanwhile: str) -> PrefectClient:
    url, said = str(PREFECT_API_URL.value()), ""
    while True:
        try:
            await _knock()
            client = await stack.enter_async_context(prefect_client())
        except (*AWAY, httpx.InvalidURL, RuntimeError) as error:
            if (told := f"{type(error).__name__}: {error}") != said:
                step = "start it (casewright up), or correct CASEWRIGHT_PREFECT_API_URL"
                log.warning("Prefect does not answer at %s (%s). %s\n  next: %s", url, told, meanwhile, step)
            said = told
            await asyncio.sleep(_KNOCK_EVERY)
        else:
            if said:
                log.info("Prefect answers at %s", url)
            return client


async def _knock() -> None:
    """Ask the server whether it is there; once, and with Prefect's settings of certificates and passwords."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        async with asyncio.timeout(_ANSWER_WITHIN), get_client() as client:
            if (error := await client.api_healthcheck()) is not None:
                raise error
