"""A stand-in on a loopback port for services that take one POST for each message: PagerDuty, Slack, Teams, others."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Literal, Self

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the service."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


Fault = Reply | Literal["drop", "silence"]
"""What to do to one request: answer otherwise; or take it and then cut the line or never answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the request holds
        """The content, parsed."""
        return json.loads(self.content)


class FakeRooms:
    """`async with FakeRooms(usual) as rooms:` listens on `rooms.url` until the block ends.

    Args:
        usual: What it answers unless told otherwise.

    Attributes:
        requests: What arrived, oldest first, whatever was answered.
        faults: What to do to the next requests, one each; usual when empty.
        stuck: Set once it is silent.
    """

    def __init__(self, usual: Reply) -> None:
        self.requests: list[Request] = []
        self.faults: deque[Fault] = deque()
        self.stuck = asyncio.Event()
        self._usual: Final = usual
        self._leaving = asyncio.Event()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(application, access_log=None)
        self._port = 0

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        """Port it listens on."""
        return self._port

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Request(request.method, request.path_qs, headers, await request.read()))
        fault = self.faults.popleft() if self.faults else self._usual
        if fault == "drop" and request.transport is not None:
            request.transport.abort()
        elif fault == "silence":
            self.stuck.set()
            await self._leaving.wait()
        reply = fault if isinstance(fault, Reply) else self._usual
        return web.Response(status=reply.status, text=reply.text, headers=reply.headers)
