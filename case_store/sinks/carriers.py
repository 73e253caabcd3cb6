"""The carrier for each kind of sink."""

from __future__ import annotations

from case_store.sinks.address import Address
from case_store.sinks.contract import Sink
from case_store.sinks.files import FileSink
from case_store.sinks.syslog import SyslogSink


def carrier(address: Address) -> Sink:
    """Return what delivers to the address. Mail has none: it goes by the outbox."""
    return FileSink(address.target) if address.kind == "file" else SyslogSink(address)
