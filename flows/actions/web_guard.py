"""The network below the HTTP client: looks a name up once, judges what it leads to, and connects to that very address.

Nobody can answer the check with one address and the connection with another (DNS rebinding), because there is no second
look-up. TLS and the `Host` header still speak of the name: only the TCP connection is made here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias

import httpcore

from flows.actions.addresses import Address, parse
from flows.actions.contract import ActionFailed, TryAgain
from flows.actions.web_rules import Rules

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

_TRIES: Final = 3


async def system_resolver(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a host, in the order to try them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects only to what the rules let through."""

    def __init__(self, rules: Rules, resolve: Resolver) -> None:
        self._rules = rules
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's addresses that answers, if all of them may be reached.

        Raises:
            ActionFailed: One of them must not be reached.
            TryAgain: The name leads nowhere at the moment.
        """
        self._rules.check_host(host, port)
        addresses = await self._look_up(host, port)
        self._rules.check_addresses(host, port, addresses)
        failure: Exception = httpcore.ConnectError(f"no address of {host} answers")
        for address in addresses[:_TRIES]:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the signature is httpcore's
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: nothing of this machine is reached."""
        raise ActionFailed(f"actions may not reach the socket {path}")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._network.sleep(seconds)

    async def _look_up(self, host: str, port: int) -> list[Address]:
        try:
            found = await self._resolve(host, port)
            addresses = [parse(one) for one in found]
        except OSError as error:
            step = "check the name; if it is right, retry when the name service answers again"
            raise TryAgain(f"the name {host} cannot be resolved: {error}", next_step=step) from error
        except ValueError as error:
            raise ActionFailed(f"{host} is no host name", next_step="correct the URL in the SOP") from error
        if not addresses:
            raise TryAgain(f"the name {host} has no address")
        return addresses
