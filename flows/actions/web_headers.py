"""The headers of a request, with the secrets put in at the last moment, and taken out of what comes back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from flows.actions.contract import ActionFailed
from flows.actions.web_rules import Rules

# These say where the message ends and to whom it goes; only the client may set them.
_OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_BREAKS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SECRET: Final = re.compile(r"\bsecret:([A-Za-z0-9_]+)")
_REDACTED: Final = b"[redacted]"
# Shorter ones would turn half of an answer into "[redacted]".
_SHORTEST_REDACTED: Final = 6


@dataclass(frozen=True, slots=True)
class Sealed:
    """Headers ready to be sent; `repr` does not show them."""

    headers: Sequence[tuple[bytes, bytes]] = field(repr=False)
    secrets: Sequence[bytes] = field(default=(), repr=False)

    def taken_out_of(self, content: bytes) -> tuple[bytes, bool]:
        """Return the content without our secrets, and whether any was in it."""
        clean = content
        for secret in self.secrets:
            if len(secret) >= _SHORTEST_REDACTED:
                clean = clean.replace(secret, _REDACTED)
        return clean, clean != content


def sealed(rules: Rules, host: str, port: int, headers: Mapping[str, str]) -> Sealed:
    """Check the headers and put the secrets in.

    Raises:
        ActionFailed: A header is not allowed, or a secret is missing or must not go to this host.
    """
    ready = {b"user-agent": b"casewright", b"accept-encoding": b"identity"}
    secrets: list[bytes] = []
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ActionFailed(f"the header {name[:100]!r} has a form that cannot be sent")
        if name.lower() in _OURS:
            raise ActionFailed(f"the header {name} is set by the client", next_step="take it out of the SOP")
        named = {key: _secret(rules, key, host, port) for key in _SECRET.findall(value)}
        filled = _SECRET.sub(lambda found, named=named: named[found[1]], value)  # type: ignore[misc]
        if _BREAKS.search(filled):
            raise ActionFailed(f"the header {name} has a line break or another control character in it")
        ready[name.lower().encode("ascii")] = filled.encode()
        secrets += [secret.encode() for secret in named.values()]
    return Sealed(list(ready.items()), secrets)


def _secret(rules: Rules, name: str, host: str, port: int) -> str:
    secret = rules.secrets.get(name)
    variable = f"CASEWRIGHT_ACTION_SECRET_{name}"
    if secret is None:
        raise ActionFailed(f"there is no secret {name!r}", next_step=f"let the operator set {variable}")
    if not secret.may_go_to(host, port):
        step = f"if it is meant, let the operator add {host}:{port} to {variable}_FOR"
        raise ActionFailed(f"the secret {name!r} may not be sent to {host} port {port}", next_step=step)
    return secret.value.get_secret_value().strip()
