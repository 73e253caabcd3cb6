"""Which network addresses an action may reach without being told so. Pure.

The lists are our own and not `ipaddress.is_global`, which says something else on nearly every patch release of Python:
on 3.11.7 it calls a NAT64 form of 127.0.0.1, multicast and 192.0.0.8 global. Sources: the IANA special-purpose address
registries for IPv4 and IPv6.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

_V4_RESERVED: Final = {
    IPv4Network(network): meaning
    for network, meaning in {
        "0.0.0.0/8": "this network",
        "10.0.0.0/8": "private",
        "100.64.0.0/10": "shared by carriers",
        "127.0.0.0/8": "this machine",
        "169.254.0.0/16": "link-local, where clouds keep their credentials",
        "172.16.0.0/12": "private",
        "192.0.0.0/24": "reserved for protocols",
        "192.0.2.0/24": "for documentation",
        "192.88.99.0/24": "a 6to4 relay",
        "192.168.0.0/16": "private",
        "198.18.0.0/15": "for benchmarks",
        "198.51.100.0/24": "for documentation",
        "203.0.113.0/24": "for documentation",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved",
    }.items()
}
_V6_GLOBAL: Final = IPv6Network("2000::/3")
_V6_RESERVED: Final = {
    IPv6Network("2001::/32"): "Teredo, which hides an IPv4 address",
    IPv6Network("2001::/23"): "reserved for protocols",
    IPv6Network("2001:db8::/32"): "for documentation",
    IPv6Network("3fff::/20"): "for documentation",
}
_NAT64: Final = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_V4_COMPATIBLE: Final = IPv6Network("::/96")
_V4_TRANSLATED: Final = IPv6Network("::ffff:0:0:0/96")
_ISATAP: Final = (0x00005EFE, 0x02005EFE)


def parse(text: str) -> Address:
    """Read an address as a resolver writes it, also with a zone: `fe80::1%eth0`.

    Raises:
        ValueError: It is none.
    """
    return ip_address(text.partition("%")[0])


def unwrap(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, else the address itself.

    Knows the mapped (RFC 4291), compatible, translated (RFC 2765), NAT64 (RFC 6052), 6to4 (RFC 3056) and ISATAP
    (RFC 5214) forms.
    """
    if isinstance(address, IPv4Address):
        return address
    number = int(address)
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64 or address in _V4_TRANSLATED or (address in _V4_COMPATIBLE and number > 1):
        return IPv4Address(number & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address(number >> 80 & 0xFFFFFFFF)
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        return IPv4Address(number & 0xFFFFFFFF)
    return address


def why_refused(address: Address) -> str | None:
    """Return what speaks against reaching this address, in a few words; None when it is out on the Internet."""
    real = unwrap(address)
    if isinstance(real, IPv4Address):
        return next((meaning for network, meaning in _V4_RESERVED.items() if real in network), None)
    if real not in _V6_GLOBAL:
        return "not a global IPv6 address"
    return next((meaning for network, meaning in _V6_RESERVED.items() if real in network), None)
