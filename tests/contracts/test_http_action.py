"""The HTTP actions against a server on loopback, and a name service that says whatever the test wants."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from flows.actions import web
from flows.actions.contract import ActionFailed, OutcomeUnknown, Result, TryAgain
from flows.actions.http import get, request
from flows.actions.testing import MemoryContext, call
from flows.actions.web import Web
from flows.actions.web_rules import Rules

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + b'{"score":7}'


@dataclass
class Server:
    """Answers every request with the same bytes and remembers what was asked."""

    answer: bytes = OK
    hold: asyncio.Event | None = None
    port: int = 0
    endless: bool = False
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(one[15:]) for one in head.split(b"\r\n") if one.lower().startswith(b"content-length:")), 0
            )
            self.requests.append(head + await reader.readexactly(length))
            if self.hold is not None:
                await self.hold.wait()
            writer.write(self.answer)
            await writer.drain()
            while self.endless:
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/path"

    def context(self, **config: str) -> MemoryContext:
        return MemoryContext(config={"HTTP_ALLOW": f"127.0.0.1:{self.port}", **config})


@asynccontextmanager
async def running(answer: bytes = OK, hold: asyncio.Event | None = None) -> AsyncIterator[Server]:
    server = Server(answer, hold)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        if hold is not None:
            hold.set()
        listening.close()


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def names(known: Mapping[str, Sequence[str]]) -> web.Resolver:
    """A name service that knows only these."""

    async def resolve(host: str, _: int) -> Sequence[str]:
        if host not in known:
            raise OSError(-2, "Name or service not known")
        return known[host]

    return resolve


async def test_the_answer_is_evidence_and_small_json_a_field() -> None:
    async with running() as server:
        result = await call(request, server.context(), method="POST", url=server.url, json={"ip": "192.0.2.7"})
    assert result.fields["status"] == 200
    assert result.fields["json"] == {"score": 7}
    assert result.fields["size"] == 11
    assert [one.content for one in result.evidence] == [b'{"score":7}']
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /path HTTP/1.1\r\n")
    assert json.loads(body) == {"ip": "192.0.2.7"}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "0",
        "[::]",
        "127.0.0.1.",
        "①②⑦.0.0.1",
        "[::ffff:7f00:1]",
    ],
)
async def test_no_spelling_of_this_machine_gets_through(host: str) -> None:
    async with running() as server:
        with pytest.raises((ActionFailed, TryAgain)):
            await call(request, MemoryContext(), method="GET", url=f"http://{host}:{server.port}/")
    assert server.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "192.0.0.8",
        "::1",
        "fd00::1",
        "fe80::1%eth0",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "ff02::1",
    ],
)
async def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    guarded = Web(Rules(), resolve=names({"evil.example": [address]}))
    with pytest.raises(ActionFailed, match="may not reach"):
        await guarded.send("GET", "http://evil.example/")


async def test_one_address_inside_among_good_ones_is_enough_to_refuse() -> None:
    guarded = Web(Rules(), resolve=names({"evil.example": ["1.1.1.1", "127.0.0.1"]}))
    with pytest.raises(ActionFailed, match=r"leads to 127\.0\.0\.1"):
        await guarded.send("GET", "http://evil.example/")


async def test_a_name_is_looked_up_once_so_it_cannot_change_its_mind() -> None:
    """DNS rebinding: whatever the second answer would be, nobody asks for it."""
    asked: list[str] = []

    async def resolve(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    async with running() as server:
        rules = Rules.of({"HTTP_ALLOW": f"siem.example:{server.port}"})
        await Web(rules, resolve=resolve).send("GET", f"http://siem.example:{server.port}/")
    assert asked == ["siem.example"]
    assert f"Host: siem.example:{server.port}".encode().lower() in server.requests[0].lower()


async def test_a_port_that_is_not_of_the_web_is_refused() -> None:
    guarded = Web(Rules(), resolve=names({"good.example": ["1.1.1.1"]}))
    with pytest.raises(ActionFailed, match="only ports 80 and 443"):
        await guarded.send("GET", "http://good.example:22/")


async def test_an_allowed_address_is_allowed_on_its_port_only() -> None:
    async with running() as server, running() as other:
        with pytest.raises(ActionFailed) as refused:
            await call(request, server.context(), method="GET", url=other.url)
    assert f"127.0.0.1:{other.port}" in refused.value.next_step
    assert other.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://example.org/",
        "//example.org/",
        "example.org",
        "http:///x",
        "http://user:pw@example.org/",
        "http://example.org:99999/",
        "unix:///run/x",
        "http://[fe80::1%25eth0]/",
        "",
    ],
)
async def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(ActionFailed) as refused:
        await call(request, MemoryContext(), method="GET", url=url)
    assert "pw" not in refused.value.diagnostics()


async def test_a_redirect_is_not_followed() -> None:
    async with running() as inner, running(answer("307 Temporary Redirect", Location=inner.url)) as server:
        config = {"HTTP_ALLOW": f"127.0.0.1:{server.port},127.0.0.1:{inner.port}"}
        with pytest.raises(ActionFailed, match="307"):
            await call(request, MemoryContext(config=config), method="GET", url=server.url)
    assert inner.requests == []


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as server, running() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await call(request, server.context(), method="GET", url=server.url)
    assert (len(server.requests), len(proxy.requests)) == (1, 0)


async def test_a_name_that_cannot_be_resolved_may_work_later() -> None:
    with pytest.raises(TryAgain, match="cannot be resolved"):
        await Web(Rules(), resolve=names({})).send("POST", "http://gone.example/")


async def test_nobody_listening_may_work_later_because_nothing_was_sent() -> None:
    async with running() as server:
        context, url = server.context(), server.url
    with pytest.raises(TryAgain, match="no connection"):
        await call(request, context, method="POST", url=url)


async def test_no_answer_in_time_leaves_open_what_happened() -> None:
    async with running(hold=asyncio.Event()) as server:
        guarded = Web(Rules.of(server.context().config), seconds=0.3)
        with pytest.raises(OutcomeUnknown, match="was sent"):
            await guarded.send("POST", server.url)
    assert len(server.requests) == 1


async def test_no_answer_to_a_look_up_is_simply_asked_again() -> None:
    async with running(hold=asyncio.Event()) as server:
        guarded = Web(Rules.of(server.context().config), seconds=0.3)
        with pytest.raises(TryAgain):
            await guarded.send("GET", server.url, repeatable=True)


@pytest.mark.parametrize("broken", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", b"SSH-2.0-x\r\n"])
async def test_an_answer_that_breaks_off_leaves_open_what_happened(broken: bytes) -> None:
    async with running(broken) as server:
        with pytest.raises(OutcomeUnknown):
            await call(request, server.context(), method="POST", url=server.url)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("400 Bad Request", ActionFailed),
        ("404 Not Found", ActionFailed),
        ("429 Too Many Requests", TryAgain),
        ("503 Service Unavailable", TryAgain),
        ("500 Internal Server Error", OutcomeUnknown),
        ("502 Bad Gateway", OutcomeUnknown),
        ("504 Gateway Timeout", OutcomeUnknown),
    ],
)
async def test_the_status_says_what_may_be_done_next(status: str, error: type[Exception]) -> None:
    async with running(answer(status)) as server:
        with pytest.raises(error, match=status[:3]):
            await call(request, server.context(), method="POST", url=server.url)


async def test_a_busy_service_says_when_to_come_back() -> None:
    async with running(answer("429 Too Many Requests", Retry_After="120")) as server:
        with pytest.raises(TryAgain) as refused:
            await call(get, server.context(), url=server.url)
    assert refused.value.after is not None
    assert refused.value.after.total_seconds() == 120


async def test_more_than_five_mebibytes_are_not_read() -> None:
    async with running(answer("200 OK", b"x" * (6 * 1024 * 1024))) as server:
        result = await call(get, server.context(), url=server.url)
    assert (result.fields["size"], result.fields["truncated"]) == (5 * 1024 * 1024, True)


async def test_an_endless_answer_is_read_to_the_limit() -> None:
    async with running(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") as server:
        server.endless = True
        result = await call(get, server.context(), url=server.url)
    assert (result.fields["size"], result.fields["truncated"]) == (5 * 1024 * 1024, True)


async def test_a_compressed_answer_is_unpacked_to_the_limit() -> None:
    bomb = gzip.compress(b"\0" * (64 * 1024 * 1024))
    async with running(answer("200 OK", bomb, Content_Encoding="gzip")) as server:
        result = await call(get, server.context(), url=server.url)
    assert (result.fields["size"], result.fields["truncated"]) == (5 * 1024 * 1024, True)


async def secret_sent(header: str, body: bytes, **config: str) -> tuple[Server, Result]:
    async with running(answer("200 OK", body, Content_Type="text/plain")) as server:
        ready = {name: value.replace("PORT", str(server.port)) for name, value in config.items()}
        context = server.context(**ready)
        result = await call(request, context, method="GET", url=server.url, headers={"Authorization": header})
    return server, result


async def test_a_secret_goes_out_and_never_comes_back() -> None:
    config = {"SECRET_SIEM": "Bearer s3cr3t-value", "SECRET_SIEM_FOR": "127.0.0.1:PORT"}
    server, result = await secret_sent("secret:SIEM", b"you said Bearer s3cr3t-value", **config)
    assert b"authorization: Bearer s3cr3t-value".lower() in server.requests[0].lower()
    assert "s3cr3t" not in repr(result)
    assert b"s3cr3t" not in b"".join(one.content for one in result.evidence if isinstance(one.content, bytes))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "there is no secret"),
        ({"SECRET_SIEM": "s3cr3t-value"}, "may not be sent"),
        ({"SECRET_SIEM": "s3cr3t-value", "SECRET_SIEM_FOR": "siem.example"}, "may not be sent"),
        ({"SECRET_SIEM": "s3cr3t\r\nX: y", "SECRET_SIEM_FOR": "127.0.0.1:PORT"}, "line break"),
    ],
)
async def test_a_secret_that_cannot_go_there_is_refused_without_telling_it(config: dict[str, str], words: str) -> None:
    with pytest.raises(ActionFailed, match=words) as refused:
        await secret_sent("secret:SIEM", b"", **config)
    assert "s3cr3t" not in refused.value.diagnostics()


@pytest.mark.parametrize("name", ["Host", "Content-Length", "Transfer-Encoding", "Connection", "a b", "x:y", ""])
async def test_headers_that_steer_the_connection_are_refused(name: str) -> None:
    async with running() as server:
        with pytest.raises(ActionFailed):
            await call(request, server.context(), method="GET", url=server.url, headers={name: "x"})
    assert server.requests == []


async def test_a_header_cannot_smuggle_in_another() -> None:
    async with running() as server:
        with pytest.raises(ActionFailed, match="line break"):
            await call(request, server.context(), method="GET", url=server.url, headers={"X-A": "1\r\nX-B: 2"})
    assert server.requests == []


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "", "GET / HTTP/1.1\r\nX: y"])
async def test_other_methods_are_refused(method: str) -> None:
    async with running() as server:
        with pytest.raises(ActionFailed, match="is not possible"):
            await call(request, server.context(), method=method, url=server.url)
    assert server.requests == []
