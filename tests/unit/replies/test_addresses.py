"""Addresses that name a message: signed, for one purpose, and nobody else makes one."""

import pytest

from case_store.ids import new_id
from case_store.links import LinkKeys
from case_store.replies import Addresses, Named

OURS = Addresses("soc@corp.example", LinkKeys(("k" * 43,)))
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def test_an_address_names_its_message_in_any_case_and_fits():
    message = new_id()
    address = Addresses("a" * 20 + "@corp.example", OURS.keys).reply_to(message)
    assert len(address.partition("@")[0]) <= 64
    assert OURS.read(["nobody@corp.example", OURS.reply_to(message).upper()]) == Named("reply", message)
    assert OURS.read([OURS.bounce_to(message) or ""]) == Named("bounce", message)


def test_no_change_of_an_address_is_taken():
    address = OURS.reply_to(new_id())
    name, _, domain = address.partition("@")
    for place in range(len("soc+"), len(name)):
        for letter in LETTERS:
            changed = f"{name[:place]}{letter}{name[place + 1 :]}@{domain}"
            assert (OURS.read([changed]) is None) == (changed != address)
    for other in (name + "a", name[:-1], name.replace("soc", "sic"), name.replace("+r", "+b"), name.replace("+", "-")):
        assert OURS.read([f"{other}@{domain}"]) is None
    assert OURS.read([f"{name}@evil.example"]) is None


def test_another_key_reads_nothing_and_an_older_one_is_believed():
    message = new_id()
    address = OURS.reply_to(message)
    assert Addresses("soc@corp.example", LinkKeys(("x" * 43,))).read([address]) is None
    assert Addresses("soc@corp.example", LinkKeys(("k" * 43, "x" * 43))).read([address]) == Named("reply", message)


def test_without_plus_addresses_the_mailbox_itself_is_answered():
    bare = Addresses("soc@corp.example", OURS.keys, plus=False)
    assert (bare.reply_to(new_id()), bare.bounce_to(new_id())) == ("soc@corp.example", None)


@pytest.mark.parametrize("address", ["soc@corp.example", "SOC+anything@Corp.example"])
def test_our_mailbox_is_known(address: str):
    assert OURS.is_ours(address)
    assert not OURS.is_ours("soc@evil.example")


def test_the_keys_are_not_shown():
    assert "k" * 43 not in repr(OURS)
