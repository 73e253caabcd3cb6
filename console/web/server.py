"""Runs the application on a port."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.types import ASGIApp

from case_store.links import LinkKeys
from case_store.settings import Settings
from console.home import free_port
from console.stopping import stop_signals
from console.web.app import make
from console.web.patience import Impatient
from console.web.site import Site

_AT_ONCE: Final = 500
"""Connections; more are told to come later. Fewer than the files that a process may commonly open."""

if TYPE_CHECKING:
    from console.call import Call


async def serve(call: Call, host: str, port: int) -> None:
    """Serve until the process is told to end.

    Raises:
        PortTaken: Something else listens on the port.
        LinkKeyUnusable: The key that signs links cannot be used.
    """
    port = free_port(port)
    async with call.store() as store:
        keys = LinkKeys.load(call.settings.keys)
        app = make(Site(store, keys, call.settings, lambda: call.now))
        config = configured(app, call.settings, host, port)
        where = call.settings.public_url or "nowhere yet: messages carry no links until CASEWRIGHT_PUBLIC_URL is set"
        call.printer.say(f"pages at http://{host}:{port}, reached by people at {where}")
        await _until_stopped(_Server(config))


def configured(app: ASGIApp, settings: Settings, host: str, port: int) -> uvicorn.Config:
    """Return how the application is served."""
    # No access log: a line of it would hold the token of a link.
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=Impatient,
        ws="none",
        forwarded_allow_ips=list(settings.trusted_proxies),
        limit_concurrency=_AT_ONCE,
        access_log=False,
        log_level="warning",
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )


class _Server(uvicorn.Server):
    """Leaves the signals to us: after one, requests are answered to their end and the case store is closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _until_stopped(server: _Server) -> None:
    async with stop_signals() as stop:
        serving = asyncio.create_task(server.serve())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        server.should_exit = True
        await serving
