"""Which addresses are refused, in every spelling that an attacker may put into a DNS answer."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.actions.addresses import parse, unwrap, why_refused

INNER = ["0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.8", "192.168.1.1"]
INNER += ["172.31.255.255", "198.18.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"]
OUTER = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "193.0.0.1"]


def wrapped(address: IPv4Address) -> dict[str, IPv6Address]:
    """Spell an IPv4 address in the forms of IPv6 that reach it, each built from its definition."""
    number = int(address)
    return {
        "mapped": IPv6Address(0xFFFF << 32 | number),
        "compatible": IPv6Address(number),
        "translated": IPv6Address(0xFFFF << 48 | number),
        "nat64": IPv6Address(0x64FF9B << 96 | number),
        "6to4": IPv6Address(0x2002 << 112 | number << 80),
        "isatap": IPv6Address(0x2A00 << 112 | 0x5EFE << 32 | number),
    }


@pytest.mark.parametrize("address", INNER)
def test_what_is_not_on_the_internet_is_refused(address: str) -> None:
    assert why_refused(parse(address))


@pytest.mark.parametrize("address", OUTER)
def test_what_is_on_the_internet_is_not(address: str) -> None:
    assert why_refused(parse(address)) is None


@pytest.mark.parametrize("form", sorted(wrapped(IPv4Address("127.0.0.1"))))
@pytest.mark.parametrize("address", INNER[1:])
def test_wrapping_an_address_does_not_get_it_through(address: str, form: str) -> None:
    assert why_refused(wrapped(IPv4Address(address))[form])


@pytest.mark.parametrize(
    "address",
    [
        "::",
        "::1",
        "fc00::1",
        "fd00::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "2001::1",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "100::1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "::ffff:127.0.0.1",
        "3fff::1",
    ],
)
def test_ipv6_addresses_that_are_nobodys_are_refused(address: str) -> None:
    assert why_refused(parse(address))


@pytest.mark.parametrize("address", ["2606:4700:4700::1111", "2a00:1450::1", "64:ff9b::808:808", "2002:808:808::1"])
def test_ipv6_addresses_of_the_internet_pass(address: str) -> None:
    assert why_refused(parse(address)) is None


@given(st.ip_addresses(v=4))
def test_every_form_is_judged_like_the_address_it_stands_for(address: IPv4Address) -> None:
    for form in wrapped(address).values():
        if int(form) > 1:
            assert unwrap(form) == address
            assert bool(why_refused(form)) == bool(why_refused(address))
