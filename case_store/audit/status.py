"""How the log is doing: what waits to be sealed and for how long, what was signed last, who has confirmed it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from case_store.audit import log_keys, sequencer, timestamps, witnesses
from case_store.audit.trail import newest_checkpoint
from case_store.audit.witnesses import Witness
from case_store.models import AuditEvent, AuditPending

if TYPE_CHECKING:
    from case_store.store import Tx

LONGEST_DELAY: Final = timedelta(seconds=2)
"""How long an event may wait to be sealed: the maximum merge delay, in the words of RFC 9162."""
LONGEST_SILENCE: Final = sequencer.HEARTBEAT * 2
"""How old the newest checkpoint of a log that works may be."""
CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""How far in the future a checkpoint may be signed."""
LONGEST_UNSTAMPED: Final = timedelta(minutes=15)
"""How long a time stamp may be overdue."""
LONGEST_UNWITNESSED: Final = timedelta(minutes=10)
"""How long ago a witness may have confirmed something; it is asked at each heartbeat."""


@dataclass(frozen=True, slots=True)
class WitnessStatus:
    """What a witness has confirmed last: the size of the tree and when; None both if nothing yet."""

    name: str
    url: str
    size: int | None
    age: timedelta | None

    @property
    def is_late(self) -> bool:
        """Say whether it has confirmed nothing for too long."""
        return self.age is None or self.age > LONGEST_UNWITNESSED


@dataclass(frozen=True, slots=True)
class StampStatus:
    """What a time-stamping authority has stamped last: so many events, and when; None both if nothing yet.

    `is_late` says that the log has grown since, and that it was due long ago.
    """

    authority: str
    size: int | None
    age: timedelta | None
    is_late: bool


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the log at one moment.

    `waiting` counts events that are not sealed; `delay` is how long the oldest of them waits. `size` and `age` are
    those of the newest checkpoint, None before the first; `ahead` is how far in the future it was signed. `key` is the
    public key that signs. `stamped` is None where no authority stamps.
    """

    waiting: int
    delay: timedelta
    size: int | None
    age: timedelta | None
    key: str | None
    witnesses: tuple[WitnessStatus, ...]
    stamped: StampStatus | None = None
    ahead: timedelta = timedelta()

    def faults(self) -> list[str]:
        """Return what is wrong with the log itself, each in a sentence."""
        found = []
        if self.delay > LONGEST_DELAY:
            found.append(
                f"{self.waiting} events wait to be sealed, for {self.delay.total_seconds():.1f} s;"
                f" {LONGEST_DELAY.total_seconds():.0f} s is the limit"
            )
        if self.age is None or self.age > LONGEST_SILENCE:
            found.append("nothing was signed lately: no relay runs, or it does not have the log's key")
        if self.ahead > CLOCKS_DIFFER:
            found.append(
                f"the newest checkpoint was signed in the future, {self.ahead.total_seconds():.0f} s from now:"
                " the clock of this machine is wrong, or that of the relay"
            )
        return found

    def unwitnessed(self) -> list[str]:
        """Return the names of witnesses that confirmed nothing lately."""
        return [one.name for one in self.witnesses if one.is_late]


async def read(
    tx: Tx, configured: Iterable[Witness], at: datetime, *, authority: str | None = None, every: timedelta = timedelta()
) -> Status:
    """Return the state of the log; `every` is how often the authority, if there is one, shall stamp it."""
    of_waiting = select(func.count(), func.min(AuditEvent.ts)).join(
        AuditPending, AuditPending.event_id == AuditEvent.event_id
    )
    waiting, oldest = (await tx.session.execute(of_waiting)).one()
    newest = await newest_checkpoint(tx)
    key = await log_keys.current(tx)
    found = []
    for one in configured:
        last = await witnesses.last_confirmed(tx, one.key)
        size, age = (None, None) if last is None else (last.size, _since(last.at, at))
        found.append(WitnessStatus(one.key.name, one.url, size, age))
    return Status(
        waiting=waiting,
        delay=sequencer.waited(at, oldest, waiting, newest.at if newest else None),
        size=newest.size if newest else None,
        age=_since(newest.at, at) if newest else None,
        ahead=_since(at, newest.at) if newest else timedelta(),
        key=key.vkey if key else None,
        witnesses=tuple(found),
        stamped=await _stamped(tx, authority, every, at, newest.size if newest else 0) if authority else None,
    )


async def _stamped(tx: Tx, authority: str, every: timedelta, at: datetime, size: int) -> StampStatus:
    last = await timestamps.newest_of(tx)
    if last is None:
        return StampStatus(authority, None, None, is_late=size > 0)
    age = _since(last[0].at, at)
    return StampStatus(authority, last[1], age, is_late=age > every + LONGEST_UNSTAMPED and size > last[1])


def _since(then: datetime, at: datetime) -> timedelta:
    return max(at - then, timedelta())
