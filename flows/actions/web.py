"""The guarded way from an action to other machines: `await Web.of(context.config).send("GET", url)`.

Built against server-side request forgery (OWASP ASVS 5.0, 1.3.6 and 13.2.4): http and https only, no redirects, no
proxies from the environment, one look-up whose addresses are all checked and then connected to, 10 seconds and 5 MiB.
What an operator may change stands in `flows.actions.web_rules`.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import httpcore
import httpx

from flows.actions.contract import ActionFailed, OutcomeUnknown, TryAgain
from flows.actions.web_guard import GuardedNetwork, Resolver, system_resolver
from flows.actions.web_headers import Sealed, sealed
from flows.actions.web_rules import MAX_PORT, Rules

SECONDS: Final = 10.0
MAX_BODY: Final = 5 * 1024 * 1024

_PORTS: Final = {"http": 80, "https": 443}
_INFLATE: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name; of several with one name, the first.
        body: At most 5 MiB of it.
        truncated: There was more of it.
        redacted: It repeated a secret that the request carried; the secret was taken out.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False
    redacted: bool = False


class Web:
    """Sends requests to what the rules let through; each by a connection of its own."""

    def __init__(
        self, rules: Rules, *, resolve: Resolver = system_resolver, seconds: float = SECONDS, limit: int = MAX_BODY
    ) -> None:
        self._rules = rules
        self._resolve = resolve
        self._seconds = seconds
        self._limit = limit

    @classmethod
    def of(cls, config: Mapping[str, str]) -> Web:
        """Read the rules from the configuration of actions.

        Raises:
            ActionFailed: A setting cannot be read.
        """
        return cls(Rules.of(config))

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        repeatable: bool = False,
    ) -> Answer:
        """Send a request and return the answer, whatever its status.

        Args:
            method: GET, POST, ...
            url: Of http or https, without user and password.
            headers: `secret:NAME` in a value stands for a secret of the configuration.
            content: The body.
            repeatable: Sending it twice does no harm; then a lost answer is `TryAgain`.

        Raises:
            ActionFailed: It must not be sent, or cannot be.
            TryAgain: Nothing was sent, or it is repeatable.
            OutcomeUnknown: It was sent and no whole answer came back.
        """
        target = _target(url)
        port = target.port or _PORTS[target.scheme]
        hidden = sealed(self._rules, target.raw_host.decode("ascii"), port, headers or {})
        on_its_way = _OnItsWay(f"{method} to {target.host} port {port}", repeatable)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._exchange(method, target, hidden, content, on_its_way)
        except TimeoutError as error:
            raise on_its_way.lost(f"no whole answer within {self._seconds:g} seconds") from error
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise _not_connected(on_its_way.what, error) from error
        except httpcore.LocalProtocolError:
            # Its words may repeat a header, and with it a secret.
            raise ActionFailed(f"{on_its_way.what} cannot be sent: the request is not valid HTTP") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise on_its_way.lost(f"the connection broke: {error or type(error).__name__}") from error

    async def _exchange(
        self, method: str, target: httpx.URL, hidden: Sealed, content: bytes, on_its_way: _OnItsWay
    ) -> Answer:
        network = GuardedNetwork(self._rules, self._resolve)
        secure = _tls(self._rules.ca_file) if target.scheme == "https" else None
        async with (
            httpcore.AsyncConnectionPool(ssl_context=secure, network_backend=network) as pool,
            pool.stream(
                method,
                httpcore.URL(scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path),
                headers=hidden.headers,
                content=content,
                extensions={"trace": on_its_way.trace},
            ) as response,
        ):
            body = bytearray()
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > self._limit:
                    break
            return self._answer(response, bytes(body), hidden)

    def _answer(self, response: httpcore.Response, body: bytes, hidden: Sealed) -> Answer:
        raw = {name.lower(): value for name, value in reversed(response.headers)}
        content, whole = _decoded(body, raw.get(b"content-encoding", b"identity").lower(), self._limit)
        clean, redacted = hidden.taken_out_of(content)
        headers = {
            name.decode("latin-1"): hidden.taken_out_of(value)[0].decode("latin-1") for name, value in raw.items()
        }
        return Answer(response.status, headers, clean, truncated=not whole, redacted=redacted)


class _OnItsWay:
    """Knows from which moment on a request may have had an effect: when its first byte was handed to the network."""

    def __init__(self, what: str, repeatable: bool) -> None:
        self.what = what
        self._repeatable = repeatable
        self._sent = False

    async def trace(self, event: str, _: Mapping[str, object]) -> None:
        """Take note of an event of httpcore."""
        self._sent = self._sent or event.endswith("send_request_headers.started")

    def lost(self, why: str) -> TryAgain | OutcomeUnknown:
        """Return the error for a request that got no whole answer."""
        if self._repeatable or not self._sent:
            return TryAgain(f"{self.what}: {why}")
        return OutcomeUnknown(f"{self.what} was sent, but {why}")


def _target(url: str) -> httpx.URL:
    step = "write it as https://host/path in the SOP"
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, UnicodeError) as error:
        raise ActionFailed(f"this is no URL: {error}", next_step=step) from error
    if target.scheme not in _PORTS:
        raise ActionFailed(f"only http and https are possible, not {target.scheme[:20]!r}", next_step=step)
    if target.userinfo:
        step = "keep them in CASEWRIGHT_ACTION_SECRET_NAME and pass the header Authorization: secret:NAME"
        raise ActionFailed("a URL with user or password would go on record with them", next_step=step)
    if not target.raw_host or b"%" in target.raw_host or not 0 < (target.port or 1) <= MAX_PORT:
        raise ActionFailed(f"the URL has no usable host and port: {target.netloc.decode('ascii')!r}", next_step=step)
    return target


def _not_connected(what: str, error: Exception) -> ActionFailed | TryAgain:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            step = "repair the certificate, or name its authority in CASEWRIGHT_ACTION_HTTP_CA_FILE"
            return ActionFailed(f"{what}: its certificate is not trusted: {cause.verify_message}", next_step=step)
        cause = cause.__cause__ or cause.__context__
    return TryAgain(f"{what}: no connection: {error or type(error).__name__}")


@lru_cache(maxsize=4)
def _tls(ca_file: str | None) -> ssl.SSLContext:
    # Reading the authorities takes 20 ms and more; contexts are safe to share.
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            step = "correct CASEWRIGHT_ACTION_HTTP_CA_FILE: it names a file of PEM certificates"
            raise ActionFailed(f"{ca_file} cannot be read: {error}", next_step=step) from error
    return context


def _decoded(body: bytes, encoding: bytes, limit: int) -> tuple[bytes, bool]:
    """Undo a compression that we did not ask for, but never past the limit; return also whether that is all."""
    if encoding in _INFLATE:
        inflate = zlib.decompressobj(_INFLATE[encoding])
        try:
            content = inflate.decompress(body, limit + 1)
        except zlib.error:
            return body[:limit], len(body) <= limit
        return content[:limit], inflate.eof and len(content) <= limit
    return body[:limit], len(body) <= limit
