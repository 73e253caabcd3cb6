"""What notifiers share: how a request can fail without an answer, and providers that cannot be asked afterwards."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from notifiers.cleaning import one_line
from notifiers.contract import Message, NotAsked, Outcome


class CannotBeAsked:
    """What notifiers share whose provider tells nothing about the messages it took."""

    can_find: Final = False

    async def find(self, message: Message, since: datetime) -> NotAsked:  # noqa: ARG002 - the contract's
        """Say that the provider was not asked."""
        return NotAsked("the provider of this channel cannot be asked for a message")


class NotReached(Exception):
    """No connection came about, so surely nothing was sent. `untrusted`: because of the server's certificate."""

    def __init__(self, text: str, *, untrusted: bool = False) -> None:
        super().__init__(text)
        self.untrusted = untrusted


class AnswerLost(Exception):
    """The request went out, and no answer came back that makes sense."""


def outcome_of_failure(provider: str, failure: NotReached | AnswerLost | TimeoutError, deadline: float) -> Outcome:
    """Judge a request that got no answer.

    Args:
        provider: Who was asked, for a person to read.
        failure: What happened; a TimeoutError is the end of the whole try.
        deadline: Seconds that the whole try had.
    """
    if isinstance(failure, NotReached):
        words = f"{provider} was not reached: {one_line(str(failure), 200)}"
        return Outcome.permanent(words, channel_fault=True) if failure.untrusted else Outcome.temporary(words)
    words = one_line(str(failure), 200) or f"no answer within {deadline:g} s"
    return Outcome.unknown(f"{provider} may have the message: {words}")


def time_to_wait(header: str | None) -> timedelta | None:
    """Return what a Retry-After header asks for: seconds, of a day at most.

    A date, the header's other form, counts as none given.
    """
    if header is None or re.fullmatch(r"[0-9]{1,5}", header) is None:
        return None
    return timedelta(seconds=int(header))
