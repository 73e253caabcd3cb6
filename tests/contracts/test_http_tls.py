"""TLS of the HTTP actions: connected to the address that was checked, talking to the name that was meant."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from flows.actions.contract import ActionFailed
from flows.actions.web import Web
from flows.actions.web_rules import Rules

NAME = "siem.corp.example"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@asynccontextmanager
async def https_server(certificate: trustme.LeafCert, seen: list[str]) -> AsyncIterator[int]:
    """A server that writes down the name of each TLS greeting and the request that follows."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    context.sni_callback = lambda _, name, __: seen.append(str(name))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def web(ca_file: str | None, port: int) -> Web:
    config = {"HTTP_ALLOW": f"{NAME}:{port}"} | ({"HTTP_CA_FILE": ca_file} if ca_file else {})

    async def resolve(host: str, _: int) -> list[str]:
        return {NAME: ["127.0.0.1"]}[host]

    return Web(Rules.of(config), resolve=resolve)


async def test_the_name_stays_in_greeting_certificate_and_header(authority, ca_file):
    seen: list[str] = []
    async with https_server(authority.issue_cert(NAME), seen) as port:
        answer = await web(ca_file, port).send("GET", f"https://{NAME}:{port}/a?b#c")
    assert (answer.status, answer.body) == (200, b"ok")
    assert seen[0] == NAME
    assert seen[1].startswith("GET /a?b HTTP/1.1\r\n")
    assert f"host: {NAME}:{port}\r\n" in seen[1].lower()


async def test_a_certificate_of_another_name_is_refused_and_nothing_is_sent(authority, ca_file):
    seen: list[str] = []
    async with https_server(authority.issue_cert("other.corp.example"), seen) as port:
        with pytest.raises(ActionFailed, match="certificate is not trusted"):
            await web(ca_file, port).send("POST", f"https://{NAME}:{port}/", content=b"x")
    assert seen == [NAME]


async def test_an_unknown_authority_is_refused_and_the_next_step_names_the_setting(authority):
    async with https_server(authority.issue_cert(NAME), []) as port:
        with pytest.raises(ActionFailed, match="certificate is not trusted") as refused:
            await web(None, port).send("GET", f"https://{NAME}:{port}/")
    assert "CASEWRIGHT_ACTION_HTTP_CA_FILE" in refused.value.next_step


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_a_file_of_authorities_that_cannot_be_read_is_refused(tmp_path, content):
    path = tmp_path / "bad.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ActionFailed, match=r"bad\.pem cannot be read"):
        await web(str(path), 8443).send("GET", f"https://{NAME}:8443/")
