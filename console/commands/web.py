"""`casewright web`: the pages by which people answer without logging in."""

from typing import Annotated

from cyclopts import Parameter

from console.call import Here
from console.numbers import Port


async def web(
    *,
    host: Annotated[str, Parameter(help="The address to listen at.", show_default=True)] = "127.0.0.1",
    port: Annotated[Port | None, Parameter(help="The port to listen at; else CASEWRIGHT_WEB_PORT, or 4280.")] = None,
    call: Here,
) -> int:
    """Serve the pages behind the links in messages, until Ctrl-C.

    CASEWRIGHT_PUBLIC_URL says where people reach them, which is mostly a proxy that speaks HTTPS; messages carry links
    once it is set.
    """
    from console.web.server import serve

    await serve(call, host, call.settings.web_port if port is None else port)
    return 0
