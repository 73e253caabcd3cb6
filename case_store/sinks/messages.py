"""Lines as syslog messages: RFC 5424, framed by octet counting (RFC 6587 3.4.1, RFC 5425 4.3).

    <110>1 2026-03-02T09:30:00.123456Z soc casewright - case.opened [casewright@32473 idx="12" leaf="5c0f..."] {...}

The text is UTF-8 without the byte order mark of section 6.4: readers of JSON and CEF stumble over it, and without it
the text is MSG-ANY. 32473 is the enterprise number that RFC 5612 keeps for examples; Casewright has none of its own.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC
from typing import Final

from case_store.audit.formats.syslog import SD_ID
from case_store.sinks.contract import Line

_PRIORITY: Final = 13 * 8 + 6  # log audit, informational
_LONGEST_MSGID: Final = 32
_LONGEST_HOST: Final = 255
LONGEST_DATAGRAM: Final = 65_000
"""Bytes. 65,507 go into a datagram (RFC 5426 3.2 with IPv4); some room is left for a path that adds to it."""


def message(line: Line, host: str) -> bytes:
    """Return a line as one message."""
    if line.is_syslog:
        return line.text.encode()
    head = f"<{_PRIORITY}>1 {line.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ} {_printable(host, _LONGEST_HOST)}"
    return f"{head} casewright - {_printable(line.type, _LONGEST_MSGID)} {_data(line)} {line.text}".encode()


def framed(content: bytes) -> bytes:
    """Return a message with its length before it."""
    return b"%d %b" % (len(content), content)


def datagram(line: Line, host: str) -> bytes:
    """Return a line as a message that a datagram can hold.

    One that is too long goes as its header alone, which says how long the message is (`left_out`) and what its hash is.
    """
    content = message(line, host)
    if len(content) <= LONGEST_DATAGRAM:
        return content
    stub = replace(line, text="", is_syslog=False, facts={**line.facts, "left_out": str(len(content))})
    return message(stub, host).rstrip(b" ")


def _data(line: Line) -> str:
    if not line.facts:
        return "-"
    pairs = "".join(f' {name}="{_escaped(value)}"' for name, value in line.facts.items())
    return f"[{SD_ID}{pairs}]"


def _escaped(value: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", value)


def _printable(word: str, longest: int) -> str:
    """Return a word as RFC 5424 has them in a header: printable ASCII without blanks; `-` for nothing."""
    return re.sub(r"[^!-~]", "_", word)[:longest] or "-"
