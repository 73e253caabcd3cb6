"""The URLs of sinks: what is taken, what is refused, and that a refusal tells no password."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from case_store.settings import Settings
from case_store.sinks.address import SinkRefused, configured, parse


@pytest.mark.parametrize(
    ("url", "kind", "target", "port", "name"),
    [
        ("file:///var/log/x.jsonl", "file", "/var/log/x.jsonl", 0, "events/x.jsonl"),
        ("file:///var/log/with%20blank.jsonl", "file", "/var/log/with blank.jsonl", 0, "events/with_blank.jsonl"),
        ("syslog+udp://127.0.0.1", "syslog+udp", "127.0.0.1", 514, "events/127.0.0.1"),
        ("syslog+tcp://logs.example:10514", "syslog+tcp", "logs.example", 10514, "events/logs.example"),
        ("syslog+tls://[::1]:6000?name=siem", "syslog+tls", "::1", 6000, "events/siem"),
        ("syslog+tls://logs.example", "syslog+tls", "logs.example", 6514, "events/logs.example"),
    ],
)
def test_a_url_says_where_and_how(url: str, kind: str, target: str, port: int, name: str):
    found = parse(url, "events")
    assert (found.kind, found.target, found.port, found.name) == (kind, target, port, name)


def test_options_are_read():
    found = parse("syslog+tls://h?ca=/etc/ca.pem&from=now&format=jsonl", "events")
    assert (found.ca, found.beginning, found.format) == (Path("/etc/ca.pem"), False, "jsonl")
    assert parse("syslog+tls://h", "events").beginning


def test_the_name_of_a_mail_sink_does_not_tell_the_address():
    found = parse("mailto:auditor@example.org", "checkpoints")
    assert found.target == "auditor@example.org"
    assert "auditor" not in found.name + found.fingerprint


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "no kind of sink"),
        ("http://h", "no kind of sink"),
        ("syslog://h", "no kind of sink"),
        ("mailto:auditor@example.org", "no kind of sink for events"),
        ("file://relative/path", "whole path"),
        ("file:x.jsonl?format=nothing", "no format"),
        ("file:///var/log/", "names no file"),
        ("file:///a%00b", "names no file"),
        ("syslog+tls://", "names no host"),
        ("syslog+tls://h/path", "names no host"),
        ("syslog+tls://h:99999", "no URL"),
        ("syslog+tls://h?colour=red", "colour is not understood"),
        ("syslog+tcp://h?ca=/x", "ca is not understood"),
        ("syslog+tls://h?ca=x.pem", "whole path"),
        ("syslog+tls://h?from=yesterday", "beginning or now"),
        ("syslog+tls://h?name=a&name=b", "twice"),
        ("syslog+tls://h?name=a/b", "a name has letters"),
        ("syslog+tls://h?format=nothing", "no format 'nothing'"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, reason: str):
    with pytest.raises(SinkRefused, match=reason):
        parse(url, "events")


@pytest.mark.parametrize("address", ["mailto:", "mailto:a", "mailto:a@b@c", "mailto:a@b,c@d%20e"])
def test_mail_goes_to_one_address(address: str):
    with pytest.raises(SinkRefused, match="one address"):
        parse(address, "checkpoints")


def test_settings_name_sinks_with_blanks_between():
    settings = Settings(forward_to="file:///a.jsonl syslog+tls://h", checkpoint_to="mailto:a@example.org")
    assert [one.name.partition("/")[0] for one in configured(settings)] == ["checkpoints", "events", "events"]
    assert configured(Settings()) == []


def test_two_sinks_of_one_name_are_refused_at_the_start():
    with pytest.raises(ValidationError, match="another name"):
        Settings(forward_to="file:///a/x.jsonl file:///b/x.jsonl")
    Settings(forward_to="file:///a/x.jsonl file:///b/x.jsonl?name=y", checkpoint_to="file:///a/x.jsonl")


def test_a_refused_url_tells_no_password():
    with pytest.raises(ValidationError) as refused:
        Settings(forward_to="syslog+tls://user:secret@host")
    assert "no password" in str(refused.value)
    assert "secret" not in str(refused.value)
