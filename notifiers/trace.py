"""What a notifier does, told step by step to a person who tests a channel."""

from __future__ import annotations

from collections.abc import Callable

Trace = Callable[[str], None]
"""Takes one line about what is about to happen or has happened. No secret and no content of a message is in it."""


def untold(_line: str) -> None:
    """Tell nobody, which is what a notifier does unless it is tested."""
