"""What an installation decides about messages, and what one try came to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Final, Literal

from case_store.settings import ALARM_ROLE, Settings

Outcome = Literal["ok", "permanent", "temporary", "unknown"]

MAX_ATTEMPTS: Final = 8

USEFUL_FOR: Final[Mapping[str, timedelta]] = {"email": timedelta(days=3), "sms": timedelta(hours=12)}
"""After this long a message says nothing any more that the console does not say better."""

LONG: Final = timedelta(days=1)
"""The same for all other channels."""

ALARM: Final = "alarm"
DIGEST: Final = "digest"
CODE: Final = "code"
REPLY: Final = "reply"
DOUBT_LASTS: Final = timedelta(minutes=10)
"""So long a receipt or a bounce is waited for where nobody can be asked whether a message went."""

GOES_AGAIN: Final = frozenset({"email"})
"""Channels by which a message in doubt goes once more: under its Message-ID, as mail servers do it among themselves."""

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
        rooms: Rooms and services that are set up, the first one first: they hear alarms that reach nobody else.
    """

    an_hour: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({"sms": 6, "email": 60}))
    alarm_role: str = ALARM_ROLE
    rooms: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings, channels: Iterable[str] = ()) -> Policy:
        """Return what the settings of an installation say.

        Args:
            settings: The settings.
            channels: The channels that are known to be set up, those of blocks too; none: only what the settings name.
        """
        named = {"pagerduty": settings.pagerduty_key, "slack": settings.slack_url, "teams": settings.teams_url}
        known = [*(name for name, setup in named.items() if setup is not None), *channels]
        rooms = tuple(dict.fromkeys(one for one in known if one not in USEFUL_FOR))
        return cls({"sms": settings.texts_an_hour, "email": settings.emails_an_hour}, settings.alarm_role, rooms)


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
            cannot be asked: then a receipt is waited for.
        asked: The provider was asked and said that it does not have it (yet); nothing was sent.
        not_asked: The provider was to be asked and could not be; nothing was sent.
        receipt: How far the provider says the message has come, and its code for why it was not delivered.
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
    not_asked: bool = False
    receipt: tuple[str, str | None] | None = None
    not_tried: bool = False
    channel_fault: bool = False
    opted_out: bool = False
    bad_address: bool = False
