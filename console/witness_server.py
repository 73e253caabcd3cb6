"""The witness's side of HTTP: one address, one kind of request (C2SP tlog-witness)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from aiohttp import web

from case_store.audit.witness import LONGEST_REQUEST, PATH, SIZE_TYPE, LogKeys, Refused, Request
from case_store.audit.witness_memory import Memory
from case_store.errors import WitnessStateUnusable

_LONGEST_LINE = 8190
_TO_FINISH = 5.0  # seconds for requests that are being answered when it ends


class Server:
    """Answers requests from what the memory says.

    A request is judged and remembered in one go, without a pause in which another could be: there is one thread.
    """

    def __init__(
        self, memory: Memory, keys: LogKeys, *, now: Callable[[], datetime], say: Callable[[str], None]
    ) -> None:
        self._memory, self._keys, self._now, self._say = memory, keys, now, say

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[str]:
        """Listen while the block runs; gives the URL.

        Raises:
            OSError: The address cannot be had.
        """
        app = web.Application(client_max_size=LONGEST_REQUEST)
        app.router.add_post(PATH, self._add_checkpoint)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_TO_FINISH, max_line_size=_LONGEST_LINE)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            bound = runner.addresses[0]
            yield f"http://{f'[{bound[0]}]' if ':' in bound[0] else bound[0]}:{bound[1]}"
        finally:
            await runner.cleanup()

    async def _add_checkpoint(self, request: web.Request) -> web.Response:
        content = await request.read()
        try:
            checkpoint, line = self._memory.confirm(Request.parse(content), self._keys, int(self._now().timestamp()))
        except Refused as refused:
            self._say(f"refused ({refused.status}): {refused}")
            if refused.size is not None:
                return web.Response(
                    status=refused.status, body=f"{refused.size}\n".encode(), headers={"Content-Type": SIZE_TYPE}
                )
            return web.Response(status=refused.status, text=f"{refused}\n")
        except WitnessStateUnusable as error:
            self._say(error.diagnostics())
            return web.Response(status=503, text="the witness cannot remember anything at the moment\n")
        self._say(f"confirmed {checkpoint.size} events of {checkpoint.origin}")
        return web.Response(text=line)
