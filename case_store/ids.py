"""Ids of everything on record."""

from __future__ import annotations

import uuid_utils


def new_id() -> str:
    """Return a new UUIDv7 (RFC 9562) as text.

    Ids made later sort later, which keeps indexes compact. The time inside an id is never read back:
    the time of a change is its `at`.
    """
    return str(uuid_utils.uuid7())
