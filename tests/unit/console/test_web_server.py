"""How the pages are served: whose addresses are believed, and how long a connection may take."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from case_store.settings import Settings
from console.web.patience import Impatient
from console.web.server import configured


async def whoami(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.client.host if request.client else "")


APP = Starlette(routes=[Route("/", whoami)])


async def seen(settings: Settings, sender: str, forwarded: str) -> str:
    config = configured(APP, settings, "127.0.0.1", 0)
    config.load()
    transport = httpx.ASGITransport(config.loaded_app, client=(sender, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://pages") as http:
        return (await http.get("/", headers={"x-forwarded-for": forwarded})).text


@pytest.mark.parametrize(
    ("trusted", "sender", "forwarded", "address"),
    [
        (None, "127.0.0.1", "192.0.2.7", "192.0.2.7"),
        (None, "10.1.2.3", "192.0.2.7", "10.1.2.3"),
        (None, "127.0.0.1", "6.6.6.6, 192.0.2.7", "192.0.2.7"),
        ("10.1.2.0/28", "10.1.2.3", "192.0.2.7", "192.0.2.7"),
        ("10.1.2.0/28", "10.1.2.3", "6.6.6.6, 192.0.2.7, 10.1.2.4", "192.0.2.7"),
        ("10.1.2.0/28", "127.0.0.1", "192.0.2.7", "127.0.0.1"),
        ("", "127.0.0.1", "192.0.2.7", "127.0.0.1"),
    ],
)
async def test_an_address_is_believed_from_our_proxies_alone(
    monkeypatch: pytest.MonkeyPatch, trusted: str | None, sender: str, forwarded: str, address: str
):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    if trusted is not None:
        monkeypatch.setenv("CASEWRIGHT_TRUSTED_PROXIES", trusted)
    assert await seen(Settings(), sender, forwarded) == address


@pytest.mark.parametrize("trusted", ["*", "proxy.example", "10.1.2.3/28"])
def test_what_names_no_proxy_is_refused(monkeypatch: pytest.MonkeyPatch, trusted: str):
    monkeypatch.setenv("CASEWRIGHT_TRUSTED_PROXIES", trusted)
    with pytest.raises(ValidationError, match="addresses or networks"):
        Settings()


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(Impatient, "within", 0.2)
    server = uvicorn.Server(configured(APP, Settings(), "127.0.0.1", 0))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    yield server.servers[0].sockets[0].getsockname()[1]
    await server.shutdown()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_request_that_does_not_come_keeps_no_place(port: int, begun: bytes):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begun)
    assert await reader.read() == b"", "it is closed without an answer"
    writer.close()


async def test_a_second_request_on_a_connection_has_to_come_in_time_too(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.write(b"GET / HTTP/1.1\r\nHo")
    assert (await reader.read()).endswith(b"127.0.0.1"), "the first answer, and nothing after it"
    writer.close()
