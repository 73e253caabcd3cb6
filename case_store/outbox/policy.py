"""What an installation decides about messages, and what one try came to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Final, Literal

Outcome = Literal["ok", "permanent", "temporary", "unknown"]

MAX_ATTEMPTS: Final = 8

USEFUL_FOR: Final[Mapping[str, timedelta]] = {"email": timedelta(days=3), "sms": timedelta(hours=12)}
"""After this long a message says nothing any more that the console does not say better."""

ALARM: Final = "alarm"
DIGEST: Final = "digest"
CODE: Final = "code"
REPLY: Final = "reply"
OWN: Final = frozenset({ALARM, DIGEST})
"""Messages that the outbox promises itself."""

NOT_IN_A_DIGEST: Final = frozenset({*OWN, "checkpoint", CODE, REPLY, "test"})
"""What is never told as one of many: it waits for the quota instead."""

NEVER_WAITS: Final = frozenset({CODE, "test"})
"""Somebody sits there and waits for it: counts for the quota and is not held back by it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What an installation decides.

    Attributes:
        an_hour: How many messages one person gets by a channel in an hour, by channel; no limit where it is not named.
        alarm_role: Who hears of messages that reach nobody, and of channels that are down.
    """

    an_hour: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({"sms": 6}))
    alarm_role: str = "incident-manager"


DEFAULT: Final = Policy()


@dataclass(frozen=True, slots=True)
class Result:
    """What one try came to.

    Attributes:
        outcome: "temporary" is tried again later, eight times at most; "unknown" may have arrived.
        provider_ref: What the channel calls the message.
        error: What the channel said went wrong; None when it took the message.
        retry_after: How long the channel asked to wait.
        ask_again: How long to wait before the provider is asked what became of a message in doubt; None when it
            cannot be asked, and then what is unknown stays so.
        asked: The provider was asked and said that it does not have it (yet); nothing was sent.
        not_tried: There was no time for it.
        channel_fault: Nobody can be reached by this channel until an administrator acts.
        opted_out: The person told the provider to send nothing more.
        bad_address: The address reaches nobody.
    """

    outcome: Outcome
    provider_ref: str | None = None
    error: str | None = None
    retry_after: timedelta | None = None
    ask_again: timedelta | None = None
    asked: bool = False
    not_tried: bool = False
    channel_fault: bool = False
    opted_out: bool = False
    bad_address: bool = False
