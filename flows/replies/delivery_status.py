"""Reads what a mail server says became of a letter: `message/delivery-status` (RFC 3464)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, cast

from case_store.replies import Report
from case_store.replies.letters import Action

_ACTIONS: Final = ("failed", "delivered", "delayed", "relayed", "expanded")
"""What may be said of a letter; where recipients differ, the first in this order counts."""
_STATUS: Final = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", re.ASCII)
_LONGEST: Final = 64 * 1024
_MOST: Final = 50


def report_of(content: bytes) -> Report | None:
    """Return what the report says; None when it says nothing that we know."""
    groups = [group for group in _groups(content) if group.get("action", "").lower() in _ACTIONS]
    if not groups:
        return None
    worst = min(groups, key=lambda group: _ACTIONS.index(group["action"].lower()))
    status = _STATUS.search(worst.get("status", ""))
    recipients = {
        address
        for group in groups
        if group["action"].lower() == worst["action"].lower()
        for name in ("original-recipient", "final-recipient")
        if (address := _address(group.get(name, "")))
    }
    action = cast("Action", worst["action"].lower())
    return Report(action, status[0] if status else "", tuple(sorted(recipients)))


def _groups(content: bytes) -> Iterator[dict[str, str]]:
    """Yield the groups of fields: one about the letter, and one for each recipient."""
    text = content[:_LONGEST].decode("utf-8", "replace").replace("\r\n", "\n")
    for block in text.split("\n\n")[:_MOST]:
        unfolded = re.sub(r"\n[ \t]+", " ", block)
        yield {
            name.strip().lower(): value.strip()
            for name, colon, value in (line.partition(":") for line in unfolded.splitlines())
            if colon
        }


def _address(field: str) -> str:
    """Return the address of a field such as `rfc822; bob@example.org`."""
    return field.rpartition(";")[2].strip().strip("<>").lower()
