"""How often somebody may ask, and which visits are put on record.

Counted in memory, by each process for itself: a restart forgets it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

_ONE_LINE: Final = 64
"""Bits of an IPv6 address that name a line; whoever has it chooses the others."""


def whose(address: str) -> str:
    """Return the key under which an address is counted: itself, or of IPv6 the network of one line."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or ip_network((ip, _ONE_LINE), strict=False))


WINDOW: Final = 60.0


@dataclass
class Limit:
    """At most `most` in a minute for each key; a minute begins anew for all keys at once, so that nothing piles up."""

    most: int
    clock: Callable[[], float] = time.monotonic
    _began: float = field(default=0.0, init=False)
    _counts: Counter[str] = field(default_factory=Counter, init=False)

    def allows(self, key: str) -> bool:
        """Count one more for this key; False when it is one too many."""
        now = self.clock()
        if now - self._began >= WINDOW:
            self._began, self._counts = now, Counter()
        self._counts[key] += 1
        return self._counts[key] <= self.most


HOUR: Final = 3600.0


@dataclass
class Visits:
    """Counts visits in each hour and says which are to be on record: the 1st, 10th, 100th and so on of each key.

    So a scanner that looks a million times makes seven events, and the record still says how often it looked.
    """

    clock: Callable[[], float] = time.monotonic
    _began: float = field(default=0.0, init=False)
    _counts: Counter[str] = field(default_factory=Counter, init=False)

    def count(self, key: str) -> int | None:
        """Count one more visit; return how many there were in this hour, None when this one makes no event."""
        now = self.clock()
        if now - self._began >= HOUR:
            self._began, self._counts = now, Counter()
        self._counts[key] += 1
        number = self._counts[key]
        return number if str(number).strip("0") == "1" else None
