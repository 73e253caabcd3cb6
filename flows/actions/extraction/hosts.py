"""Whether a text is a host on the Internet, and how its name or address is written in a case. Pure."""

from __future__ import annotations

import re
import socket
from functools import cache, lru_cache
from importlib.resources import files
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

MAX_NAME: Final = 253
MAX_LABEL: Final = 63

# Names that IANA does not list and that nevertheless matter: hidden services, and the names of examples (RFC 2606).
_OTHER_TLDS: Final = frozenset({"onion", "example"})
_LABEL: Final = re.compile(r"[^\W_](?:[\w-]*[^\W_])?", re.ASCII)
_SERVICE_LABEL: Final = re.compile(r"_?[^\W_](?:[\w-]*\w)?", re.ASCII)
# The forms that inet_aton takes and browsers follow: 2130706433, 0x7f.1, 017700000001.
_ODD_IPV4: Final = re.compile(r"(?:0x[0-9a-f]+|\d+)(?:\.(?:0x[0-9a-f]+|\d+)){0,3}", re.IGNORECASE)

_INTERNAL: Final[list[IPv4Network | IPv6Network]] = [
    *map(IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")),
    *map(IPv6Network, ("fc00::/7", "fe80::/10")),
]
# Nobody's address: unspecified, loopback, multicast, reserved and broadcast.
_NO_HOST: Final = [*map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"))]
_GLOBAL_V6: Final = IPv6Network("2000::/3")


@cache
def top_level_domains() -> frozenset[str]:
    """Return the top-level domains there are, in lower case and ASCII."""
    lines = (files(__package__) / "tlds.txt").read_text("ascii").split("\n")
    return frozenset(line for line in lines if line and not line.startswith("#")) | _OTHER_TLDS


@lru_cache(maxsize=4096)
def address(text: str) -> tuple[str, str] | None:
    """Return an IP address as type and value, or None when it is no host's.

    The types are `ip` and, for what only means something inside a network, `internal_ip`: nobody wants to block the
    own mail server because it stood in a log. Documentation addresses count as `ip`.
    """
    try:
        found: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if any(found in network for network in _INTERNAL if network.version == found.version):
        return "internal_ip", str(found)
    if isinstance(found, IPv6Address):
        return ("ip", str(found)) if found in _GLOBAL_V6 else None
    return None if any(found in network for network in _NO_HOST) else ("ip", str(found))


def name(text: str) -> str | None:
    """Return a host name in lower case and ASCII (IDNA), or None when it has no form that DNS knows."""
    return _name(text) if len(text) <= MAX_NAME else None


# Logs say the same few names over and over.
@lru_cache(maxsize=4096)
def _name(text: str) -> str | None:
    host = text.lower().removesuffix(".")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    labels = host.split(".")
    if len(host) > MAX_NAME or len(labels) < 2 or not all(map(_SERVICE_LABEL.fullmatch, labels)):  # noqa: PLR2004
        return None
    if any(len(label) > MAX_LABEL for label in labels) or not all(map(_LABEL.fullmatch, labels[-2:])):
        return None
    return None if labels[-1].isdigit() else host


def domain(text: str) -> str | None:
    """Return a domain under a top-level domain that exists, in lower case and ASCII; else None."""
    # Most candidates fail at their last label, which is cheap to look at.
    last = text.rpartition(".")[2].lower()
    if last.isascii() and last not in top_level_domains():
        return None
    found = name(text)
    return found if found is not None and found.rpartition(".")[2] in top_level_domains() else None


def odd_address(host: str) -> str | None:
    """Return the IPv4 address that a browser reads from `2130706433` or `0x7f.1`; else None."""
    if not _ODD_IPV4.fullmatch(host):
        return None
    try:
        return str(IPv4Address(socket.inet_aton(host)))
    except OSError:
        return None
