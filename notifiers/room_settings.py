"""How the channels are set up that reach a room or a service instead of one person's own address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from notifiers.errors import SettingsRefused
from notifiers.settings import is_this_machine, refuse_unencrypted

Severity = Literal["critical", "error", "warning", "info"]

PAGERDUTY: Final = "https://events.pagerduty.com"
APPRISE_SCHEMES: Final = frozenset(
    {
        "discord",
        "gchat",
        "gotifys",
        "matrixs",
        "mmosts",
        "nctalks",
        "ntfys",
        "pagertree",
        "pover",
        "rockets",
        "signals",
        "signl4",
        "splunk",
        "tgram",
        "victorops",
        "webex",
        "wxteams",
        "zulip",
    }
)
"""What Apprise may be used for: chat and paging services, reached encrypted.

Not among them: what reads files, speaks to this machine's desktop or log, posts anywhere (`json://`, `form://`) or has
a channel of its own here.
"""
_IN_CLEAR: Final = {"gotify", "matrix", "mmost", "nctalk", "ntfy", "rocket", "signal"}
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDutyConfig:
    """The service at PagerDuty that is alerted.

    Attributes:
        routing_key: Integration key of the service, for Events API v2.
        url: Where the API is reached; encrypted unless it is on this machine.
        severity: What PagerDuty is told how bad it is; decides there who is woken.
        connect_timeout: Seconds to reach the API.
        deadline: Seconds for the whole try.
    """

    routing_key: SecretStr
    url: str = PAGERDUTY
    severity: Severity = "critical"
    connect_timeout: float = 5
    deadline: float = 15

    def __post_init__(self) -> None:
        if not self.routing_key.get_secret_value().strip():
            raise SettingsRefused("PagerDuty: the integration key is empty")
        refuse_unencrypted("PagerDuty", self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """A webhook of Slack or Teams. Whoever knows its address can post, so the address is a secret.

    Attributes:
        service: `Slack` or `Teams`, for errors.
        url: The address; encrypted unless it is on this machine.
        connect_timeout: Seconds to reach it.
        deadline: Seconds for the whole try.
    """

    service: str
    url: SecretStr
    connect_timeout: float = 5
    deadline: float = 15

    def __post_init__(self) -> None:
        refuse_unencrypted(self.service, self.url.get_secret_value())

    @property
    def host(self) -> str:
        """Name of the host, which is no secret."""
        return urlsplit(self.url.get_secret_value()).hostname or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppriseConfig:
    """One target of Apprise; its channel is `apprise:NAME`.

    Attributes:
        name: What the installation calls it: lower-case letters, digits, `-` and `_`.
        url: The target as Apprise writes it. It holds passwords.
        deadline: Seconds for the whole try.
    """

    name: str
    url: SecretStr
    deadline: float = 30

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise SettingsRefused(f"Apprise: {self.name!r} is not a name of lower-case letters, digits, - and _")
        parts = urlsplit(self.url.get_secret_value())
        near = parts.scheme in _IN_CLEAR and is_this_machine(parts.hostname or "")
        if parts.scheme not in APPRISE_SCHEMES and not near:
            raise SettingsRefused(
                f"Apprise: {self.name}: {parts.scheme!r} is not a kind of target that is allowed",
                next_step=f"Use one of: {', '.join(sorted(APPRISE_SCHEMES))}.",
            )
        if parse_qs(parts.query, keep_blank_values=True).get("verify", ["yes"]) != ["yes"]:
            raise SettingsRefused(f"Apprise: {self.name}: the certificate is always verified; leave out verify=")

    @property
    def scheme(self) -> str:
        """Kind of the target, which is no secret."""
        return urlsplit(self.url.get_secret_value()).scheme
