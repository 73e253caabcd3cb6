"""Formats in which events leave: for a file (`audit export`) and for the forwarder.

    form = FORMATS["cef"]
    out.write(form.begin())
    for record in records:
        if line := form.line(record):
            out.write(line + form.line_end)
    out.write(form.end())

`begin` and `end` make a whole document of a file; who delivers lines one by one leaves both out and takes only formats
that are `lines_stand_alone`. A line has no line break in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from case_store.audit.formats import case_uco, cef, csv, ecs, jsonl, ocsf, syslog
from case_store.audit.formats.record import Format, Names, Record

__all__ = ["FORMATS", "Format", "Names", "Record"]

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {one.FORMAT.name: one.FORMAT for one in (jsonl, ocsf, cef, syslog, ecs, csv, case_uco)}
)
"""The formats by their names; `jsonl` is the one that can be verified."""
