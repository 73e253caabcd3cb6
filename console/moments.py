"""Moments as people write them at the command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cyclopts import Token


def a_moment(_: object, tokens: Sequence[Token]) -> datetime:
    """Read a date or a time in ISO 8601.

    Raises:
        ValueError: It is none; says what one looks like.
    """
    text = " ".join(token.value for token in tokens)
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text[:60]!r} is no moment; write a date or a time such as 2026-11-24, 2026-11-24T09:30"
            " or 2026-11-24T09:30+01:00"
        ) from None
