"""JSON Lines: the bodies as they are stored. The one format whose lines can be verified."""

from __future__ import annotations

from typing import Final

from case_store.audit.formats.record import Format

FORMAT: Final = Format(name="jsonl", suffix=".jsonl", line=lambda record: record.body)
