"""The carrier for each kind of sink."""

from __future__ import annotations

from case_store.audit.formats import FORMATS
from case_store.sinks.address import Address
from case_store.sinks.contract import Sink
from case_store.sinks.files import FileSink
from case_store.sinks.syslog import SyslogSink


def carrier(address: Address) -> Sink:
    """Return what delivers to the address. Mail has none: it goes by the outbox."""
    if address.kind != "file":
        return SyslogSink(address)
    head = FORMATS[address.format].begin() if address.what == "events" else ""
    return FileSink(address.target, head.rstrip("\r\n"))
