"""What an operator lets actions reach, and which secrets may go where.

All of it comes from the configuration of actions, that is from environment variables `CASEWRIGHT_ACTION_...`:

    HTTP_ALLOW       10.1.2.3:8089, siem.corp.example:8089   what may be reached besides the Internet's ports 80 and 443
    HTTP_ONLY        www.virustotal.com                      if set, nothing else may be reached
    HTTP_CA_FILE     /etc/ssl/corp.pem                       certificate authorities besides the public ones
    SECRET_SIEM      Bearer 3fa...                           a secret; headers name it `secret:SIEM`
    SECRET_SIEM_FOR  siem.corp.example:8089                  the only places it is ever sent to
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final

from pydantic import SecretStr

from flows.actions.addresses import Address, parse, unwrap, why_refused
from flows.actions.contract import ActionFailed

_WEB_PORTS: Final = (80, 443)
_HTTPS: Final = 443
MAX_PORT: Final = 65535
_PLACE: Final = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^\s:\[\]/@]+))(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Place:
    """A host, by name or address, and its port; None stands for the ports of the web."""

    host: str
    port: int | None

    @classmethod
    def read(cls, text: str) -> Place:
        """Read `host`, `host:port`, `[v6]` or `[v6]:port`.

        Raises:
            ActionFailed: It is something else.
        """
        found = _PLACE.fullmatch(text)
        if found is None or not 0 <= int(found["port"] or 0) <= MAX_PORT:
            step = "write hosts as 10.1.2.3:8089, siem.corp.example:8089 or [fd00::1]:8443, with commas between"
            raise ActionFailed(f"the configuration of actions names {text!r}, which is no host", next_step=step)
        return cls(tidy(found["v6"] or found["host"]), int(found["port"]) if found["port"] else None)

    def has(self, host: str, port: int) -> bool:
        """Tell whether this is the place, by name."""
        return self.host == tidy(host) and self._has_port(port)

    def is_at(self, address: Address, port: int) -> bool:
        """Tell whether this place was given as this very address, in whatever form."""
        try:
            mine = unwrap(parse(self.host))
        except ValueError:
            return False
        return mine == unwrap(address) and self._has_port(port)

    def _has_port(self, port: int) -> bool:
        return port in _WEB_PORTS if self.port is None else port == self.port


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret and where it may be sent; a place without a port stands for https."""

    value: SecretStr
    places: Sequence[Place] = ()

    def may_go_to(self, host: str, port: int) -> bool:
        """Tell whether this secret may be sent there."""
        return any(one.has(host, port) and (one.port is not None or port == _HTTPS) for one in self.places)


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be reached. Without any setting: ports 80 and 443 of every address on the Internet."""

    allow: Sequence[Place] = ()
    only: Sequence[Place] = ()
    ca_file: str | None = None
    secrets: Mapping[str, Secret] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Mapping[str, str]) -> Rules:
        """Read the rules from the configuration of actions.

        Raises:
            ActionFailed: A setting cannot be read.
        """
        secrets = {
            key.removeprefix("SECRET_"): Secret(SecretStr(value), _places(config.get(f"{key}_FOR")))
            for key, value in config.items()
            if key.startswith("SECRET_") and not key.endswith("_FOR")
        }
        allow, only = _places(config.get("HTTP_ALLOW")), _places(config.get("HTTP_ONLY"))
        return cls(allow, only, config.get("HTTP_CA_FILE") or None, secrets)

    def check_host(self, host: str, port: int) -> None:
        """Refuse a host that is not among the only ones.

        Raises:
            ActionFailed: It is not.
        """
        if self.only and not any(one.has(host, port) for one in (*self.only, *self.allow)):
            step = "use one of the hosts that are allowed, or let the operator add it to CASEWRIGHT_ACTION_HTTP_ONLY"
            raise ActionFailed(f"{host} port {port} is not among the hosts that actions may reach", next_step=step)

    def check_addresses(self, host: str, port: int, addresses: Sequence[Address]) -> None:
        """Refuse a host as soon as one of its addresses must not be reached: an honest name has no such address.

        Raises:
            ActionFailed: One must not.
        """
        for address in addresses:
            if (reason := self._against(host, port, address)) is not None:
                entry = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"  # noqa: PLR2004
                raise ActionFailed(
                    f"{host} leads to {address} port {port}, which actions may not reach: {reason}",
                    next_step=f"if it is meant, let the operator add {entry} to CASEWRIGHT_ACTION_HTTP_ALLOW",
                )

    def _against(self, host: str, port: int, address: Address) -> str | None:
        if any(one.is_at(address, port) for one in self.allow):
            return None
        if any(one.has(host, port) for one in self.allow):
            # The operator vouches for what the name leads to, but nobody means these by a name.
            return why_refused(address) if _never_by_name(address) else None
        return why_refused(address) or (None if port in _WEB_PORTS else "only ports 80 and 443 are open")


def tidy(host: str) -> str:
    """Return a host name as it is compared."""
    return host.lower().removesuffix(".")


def _places(text: str | None) -> tuple[Place, ...]:
    return tuple(Place.read(one) for one in re.split(r"[\s,]+", text or "") if one)


def _never_by_name(address: Address) -> bool:
    real = unwrap(address)
    if real.is_unspecified or real.is_multicast or real.is_link_local:
        return True
    return real == IPv4Address("255.255.255.255")
