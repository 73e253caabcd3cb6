"""Lines as syslog messages, read back as RFC 5424 says."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from case_store.sinks.contract import Line
from case_store.sinks.messages import LONGEST_DATAGRAM, datagram, framed, message
from tests.syslog import Parsed

AT = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)


def line(text: str = '{"a":1}', **facts: str) -> Line:
    return Line(text, AT, "case.opened", facts)


def test_a_message_says_when_where_what_and_its_place():
    found = Parsed.of(message(line('{"title":"Ünïcode ]\\" "}', idx="12", leaf="00ff"), "soc-1"))
    assert (found.facility, found.severity, found.at) == (13, 6, AT)
    assert (found.host, found.app, found.msgid) == ("soc-1", "casewright", "case.opened")
    assert found.data == {"idx": "12", "leaf": "00ff"}
    assert found.text == '{"title":"Ünïcode ]\\" "}'


def test_the_time_is_in_utc():
    there = Line("x", AT.astimezone(timezone(timedelta(hours=5))), "a", {})
    assert b" 2026-03-02T09:30:00.123456Z " in message(there, "h")


@pytest.mark.parametrize("value", ['"', "\\", "]", '\\"]', "plain", "Ü"])
def test_a_value_comes_back_as_it_was(value: str):
    assert Parsed.of(message(line(name=value), "h")).data == {"name": value}


@pytest.mark.parametrize(("host", "shown"), [("", "-"), ("a b\n", "a_b_"), ("ü", "_"), ("x" * 300, "x" * 255)])
def test_a_header_is_printable_ascii_whatever_the_machine_is_called(host: str, shown: str):
    assert Parsed.of(message(line(), host)).host == shown


def test_a_type_that_is_too_long_is_cut_in_the_header_only():
    found = Parsed.of(message(Line("x", AT, "a" * 40, {}), "h"))
    assert found.msgid == "a" * 32


def test_a_frame_counts_octets_not_characters():
    assert framed("ü".encode()) == b"2 \xc3\xbc"


def test_a_line_that_is_a_message_already_goes_as_it_is():
    assert message(Line("<110>1 - - - - - - x", AT, "a", {}, is_syslog=True), "h") == b"<110>1 - - - - - - x"


@pytest.mark.parametrize("is_syslog", [False, True])
def test_what_no_datagram_holds_goes_as_a_header_that_says_so(*, is_syslog: bool):
    long = Line("x" * LONGEST_DATAGRAM + "y", AT, "case.opened", {"idx": "3", "leaf": "00ff"}, is_syslog=is_syslog)
    found = Parsed.of(datagram(long, "h"))
    assert (found.data["idx"], found.data["leaf"], found.text) == ("3", "00ff", "")
    assert int(found.data["left_out"]) == len(message(long, "h"))
    assert Parsed.of(datagram(line(idx="3"), "h")).text == '{"a":1}'
