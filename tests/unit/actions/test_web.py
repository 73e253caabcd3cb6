"""What the way to other machines does before and after the network."""

import tracemalloc
import zlib

import pytest

from flows.actions import web
from flows.actions.contract import ActionFailed
from flows.actions.web import Web
from flows.actions.web_rules import Rules

MEBIBYTE = 1024 * 1024


def gzipped(chunks: int) -> bytes:
    """Return a mebibyte of zeros, so many times, as gzip."""
    deflate = zlib.compressobj(9, wbits=31)
    return b"".join(deflate.compress(bytes(MEBIBYTE)) for _ in range(chunks)) + deflate.flush()


def test_a_compressed_answer_never_takes_more_memory_than_the_limit():
    bomb = gzipped(200)
    tracemalloc.start()
    content, whole = web._decoded(bomb, b"gzip", MEBIBYTE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(content), whole) == (MEBIBYTE, False)
    assert peak < 10 * MEBIBYTE


@pytest.mark.parametrize(
    ("body", "encoding", "content", "whole"),
    [
        (b"plain", b"identity", b"plain", True),
        (b"plain", b"br", b"plain", True),
        (b"no gzip", b"gzip", b"no gzip", True),
        (gzipped(1)[:-9], b"gzip", bytes(MEBIBYTE), False),
        (zlib.compress(b"deflated"), b"deflate", b"deflated", True),
        (b"x" * 2 * MEBIBYTE, b"identity", b"x" * MEBIBYTE, False),
    ],
)
def test_answers_are_decoded_as_far_as_they_can_be(body, encoding, content, whole):
    assert web._decoded(body, encoding, MEBIBYTE) == (content, whole)


async def test_with_only_hosts_nothing_else_is_looked_up():
    asked = []

    async def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"]

    with pytest.raises(ActionFailed, match="not among the hosts"):
        await Web(Rules.of({"HTTP_ONLY": "api.vendor.example"}), resolve=resolve).send("GET", "https://other.example/")
    assert asked == []


async def test_sockets_of_this_machine_are_not_reached():
    from flows.actions.web_guard import GuardedNetwork, system_resolver

    with pytest.raises(ActionFailed, match=r"may not reach the socket /run/docker\.sock"):
        await GuardedNetwork(Rules(), system_resolver).connect_unix_socket("/run/docker.sock")
