"""What an operator lets actions reach."""

import pytest

from flows.actions.addresses import parse
from flows.actions.contract import ActionFailed
from flows.actions.web_rules import Place, Rules


def passes(rules: Rules, host: str, port: int, address: str) -> bool:
    try:
        rules.check_addresses(host, port, [parse(address)])
    except ActionFailed:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.1.2.3:8089", "10.1.2.3", 8089),
        ("SIEM.Corp.Example.", "siem.corp.example", None),
        ("[fd00::1]:8443", "fd00::1", 8443),
        ("[fd00::1]", "fd00::1", None),
    ],
)
def test_places_are_read(text, host, port):
    assert Place.read(text) == Place(host, port)


@pytest.mark.parametrize("text", ["http://a", "a:b", "a:99999", "a/b", "user@a", "fd00::1", ":80", "a:"])
def test_what_is_no_place_is_refused_with_how_to_write_one(text):
    with pytest.raises(ActionFailed, match="no host") as refused:
        Rules.of({"HTTP_ALLOW": text})
    assert "10.1.2.3:8089" in refused.value.next_step


def test_without_settings_only_the_web_of_the_internet_is_reached():
    rules = Rules.of({})
    assert passes(rules, "a.example", 443, "93.184.216.34")
    assert not passes(rules, "a.example", 8443, "93.184.216.34")
    assert not passes(rules, "a.example", 443, "10.1.2.3")


def test_an_address_is_allowed_by_its_number_whatever_leads_there():
    rules = Rules.of({"HTTP_ALLOW": "10.1.2.3:8089, 127.0.0.1"})
    assert passes(rules, "siem", 8089, "10.1.2.3")
    assert passes(rules, "siem", 8089, "::ffff:10.1.2.3")
    assert not passes(rules, "siem", 8090, "10.1.2.3")
    assert passes(rules, "here", 80, "127.0.0.1")
    assert not passes(rules, "here", 8080, "127.0.0.1")


def test_a_name_is_trusted_with_whatever_it_leads_to_but_the_never_meant():
    rules = Rules.of({"HTTP_ALLOW": "siem.corp.example:8089"})
    assert passes(rules, "SIEM.corp.example", 8089, "10.1.2.3")
    assert not passes(rules, "siem.corp.example", 443, "10.1.2.3")
    assert not passes(rules, "other.corp.example", 8089, "10.1.2.3")
    for never in ("169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "fe80::1"):
        assert not passes(rules, "siem.corp.example", 8089, never)


def test_with_only_hosts_nothing_else_is_reached():
    rules = Rules.of({"HTTP_ONLY": "api.vendor.example", "HTTP_ALLOW": "10.1.2.3:8089"})
    rules.check_host("api.vendor.example", 443)
    rules.check_host("10.1.2.3", 8089)
    with pytest.raises(ActionFailed, match="not among the hosts") as refused:
        rules.check_host("other.example", 443)
    assert "HTTP_ONLY" in refused.value.next_step


def test_a_refusal_says_what_the_operator_could_add():
    with pytest.raises(ActionFailed, match="private") as refused:
        Rules().check_addresses("siem", 8089, [parse("10.1.2.3")])
    assert "10.1.2.3:8089" in refused.value.next_step
    with pytest.raises(ActionFailed) as refused:
        Rules().check_addresses("siem", 8443, [parse("fd00::1")])
    assert "[fd00::1]:8443" in refused.value.next_step


@pytest.mark.parametrize(
    ("places", "host", "port", "allowed"),
    [
        ("siem.example", "siem.example", 443, True),
        ("siem.example", "siem.example", 80, False),
        ("siem.example:80", "siem.example", 80, True),
        ("siem.example:8089", "siem.example", 443, False),
        ("siem.example", "siem.example.evil.example", 443, False),
        ("", "siem.example", 443, False),
    ],
)
def test_a_secret_goes_only_where_it_belongs(places, host, port, allowed):
    rules = Rules.of({"SECRET_SIEM": "hunter2", "SECRET_SIEM_FOR": places})
    assert rules.secrets["SIEM"].may_go_to(host, port) is allowed


def test_a_secret_does_not_show_when_the_rules_are_printed():
    rules = Rules.of({"SECRET_SIEM": "hunter2", "SECRET_SIEM_FOR": "siem.example"})
    assert set(rules.secrets) == {"SIEM"}
    assert "hunter2" not in repr(rules)
