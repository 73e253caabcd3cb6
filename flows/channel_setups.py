"""How each channel is set up: by the environment, or by a block in Prefect, of which the environment wins.

The environment wins as a whole channel, never field by field: whoever runs the program has then said where its messages
go, and nobody who can reach Prefect's UI sends them elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parseaddr
from urllib.parse import urlsplit

from pydantic import SecretStr

from case_store.settings import Settings
from notifiers.contract import Notifier
from notifiers.email import EmailNotifier
from notifiers.errors import SettingsRefused
from notifiers.folder import FolderNotifier
from notifiers.pagerduty import PagerDutyNotifier
from notifiers.room_settings import PAGERDUTY, AppriseConfig, PagerDutyConfig, WebhookConfig
from notifiers.settings import EmailConfig, Encryption, SmsConfig, is_this_machine
from notifiers.sms import SmsNotifier
from notifiers.trace import Trace, untold

ENCRYPTION: dict[str, Encryption] = {"starttls": "starttls", "tls": "implicit", "none": "none"}
_STATUS_HOOK = "/hooks/twilio/status"
_UNHEARD = (
    "nothing is heard of texts afterwards, which takes an https CASEWRIGHT_PUBLIC_URL"
    " and this token in CASEWRIGHT_TWILIO_AUTH_TOKEN"
)


@dataclass(frozen=True, slots=True)
class Setup:
    """One channel that is set up.

    Attributes:
        channel: Its name.
        origin: Who says so: `environment`, or which block.
        told: What is set, for a person to read; no secret.
        make: Makes the notifier; raises SettingsRefused when the settings do not do.
    """

    channel: str
    origin: str
    told: str
    make: Callable[[Trace], Notifier]


def from_environment(settings: Settings) -> Iterator[Setup]:
    """Give the channels that the environment sets up.

    Raises:
        SettingsRefused: One of them is set up wrongly.
    """
    here = "environment"
    if (email := _email(settings)) is not None:
        folder = settings.mail_folder
        yield (
            of_email(email, here)
            if folder is None
            else Setup("email", here, f"letters are written into {folder}", lambda _: FolderNotifier(folder, email))
        )
    sid, token, sender = settings.twilio_account_sid, settings.twilio_auth_token, settings.twilio_from
    if sid is not None and token is not None and sender is not None:
        yield of_sms(sms_config(sid, token, sender, settings), here)
    if settings.pagerduty_key is not None:
        url = settings.pagerduty_url or PAGERDUTY
        yield of_pagerduty(PagerDutyConfig(routing_key=settings.pagerduty_key, url=url), here)
    if settings.slack_url is not None:
        yield of_webhook("slack", settings.slack_url, here)
    if settings.teams_url is not None:
        yield of_webhook("teams", settings.teams_url, here)
    for name, target in _named(settings.apprise):
        yield of_apprise(AppriseConfig(name=name, url=target), here)


def of_email(config: EmailConfig, origin: str) -> Setup:
    """Set up e-mail."""
    login = "without a login" if config.username is None else f"login {config.username}"
    told = f"{config.host} port {config.port}, {config.encryption}, {login}, from {config.sender}"
    return Setup("email", origin, told, lambda trace: EmailNotifier(config, trace=trace))


def of_sms(config: SmsConfig, origin: str) -> Setup:
    """Set up texts."""
    callback = config.status_callback or _UNHEARD
    told = f"account {config.account_sid}, from {config.messaging_service_sid or config.sender}, status: {callback}"
    return Setup("sms", origin, told, lambda trace: SmsNotifier(config, trace=trace))


def of_pagerduty(config: PagerDutyConfig, origin: str) -> Setup:
    """Set up PagerDuty."""
    told = f"{config.url}, severity {config.severity}"
    return Setup("pagerduty", origin, told, lambda trace: PagerDutyNotifier(config, trace=trace))


def of_webhook(channel: str, url: SecretStr, origin: str) -> Setup:
    """Set up Slack or Teams."""
    config = WebhookConfig(service=channel.capitalize(), url=url)
    return Setup(channel, origin, f"a webhook at {config.host}", lambda trace: _of_room(channel, config, trace))


def of_apprise(config: AppriseConfig, origin: str) -> Setup:
    """Set up one target of Apprise."""
    return Setup(f"apprise:{config.name}", origin, f"{config.scheme}://", lambda trace: _of_apprise(config, trace))


def sms_config(sid: str, token: SecretStr, sender: str, settings: Settings) -> SmsConfig:
    """Give the settings of texts; `sender` is a number, or `MG...` for a messaging service.

    Twilio is asked to report only where the pages can tell that it does: they know the environment's token.
    """
    pool = sender.startswith("MG")
    return SmsConfig(
        account_sid=sid,
        auth_token=token,
        messaging_service_sid=sender if pool else None,
        sender=None if pool else sender,
        base_url=settings.twilio_url,
        status_callback=_status_callback(settings.public_url) if token == settings.twilio_auth_token else None,
    )


def email_config(sender: str, host: str, **more: object) -> EmailConfig:
    """Give the settings of e-mail; `sender` is an address, or a name and the address in angle brackets."""
    name, address = parseaddr(sender)
    return EmailConfig(host=host, sender=address, sender_name=name or "Casewright", **more)  # type: ignore[arg-type]


def _email(settings: Settings) -> EmailConfig | None:
    host = "localhost" if settings.mail_folder else settings.smtp_host
    if host is None:
        return None
    return email_config(
        settings.smtp_from,
        host,
        port=settings.smtp_port,
        encryption=ENCRYPTION[settings.smtp_security],
        username=settings.smtp_user,
        password=settings.smtp_password,
        ca_file=settings.smtp_ca_file,
    )


def _status_callback(public_url: str | None) -> str | None:
    """Return where Twilio may tell what became of a text; it reaches no machine that calls itself localhost."""
    if public_url is None:
        return None
    parts = urlsplit(public_url)
    if parts.scheme != "https" or is_this_machine(parts.hostname or ""):
        return None
    return public_url.rstrip("/") + _STATUS_HOOK


def _named(targets: SecretStr | None) -> Iterator[tuple[str, SecretStr]]:
    for word in targets.get_secret_value().split() if targets is not None else ():
        name, equals, url = word.partition("=")
        if not equals or "://" in name:
            raise SettingsRefused(
                "Apprise: a target has no name", next_step="Write CASEWRIGHT_APPRISE='NAME=URL OTHER=URL'."
            )
        yield name, SecretStr(url)


def _of_room(channel: str, config: WebhookConfig, trace: Trace = untold) -> Notifier:
    # Each loads a library of its own, which others do without.
    if channel == "slack":
        from notifiers.slack import SlackNotifier  # noqa: PLC0415

        return SlackNotifier(config, trace=trace)
    from notifiers.teams import TeamsNotifier  # noqa: PLC0415

    return TeamsNotifier(config, trace=trace)


def _of_apprise(config: AppriseConfig, trace: Trace) -> Notifier:
    from notifiers.apprise_target import AppriseNotifier  # noqa: PLC0415 - it loads every service it knows

    return AppriseNotifier(config, trace=trace)
