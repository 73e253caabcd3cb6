"""Runs the application on a port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from case_store.links import LinkKeys
from console.home import free_port
from console.web.app import make
from console.web.site import Site

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
        # No access log: a line of it would hold the token of a link.
        config = uvicorn.Config(
            app, host=host, port=port, access_log=False, log_level="warning", server_header=False, lifespan="off"
        )
        where = call.settings.public_url or "nowhere yet: messages carry no links until CASEWRIGHT_PUBLIC_URL is set"
        call.printer.say(f"pages at http://{host}:{port}, reached by people at {where}")
        await uvicorn.Server(config).serve()
