"""The channels that this installation has set up, by name."""

from __future__ import annotations

from email.utils import parseaddr

from case_store.settings import Settings
from notifiers.contract import Notifier
from notifiers.email import EmailNotifier
from notifiers.folder import FolderNotifier
from notifiers.settings import EmailConfig, Encryption, SmsConfig
from notifiers.sms import SmsNotifier

_ENCRYPTION: dict[str, Encryption] = {"starttls": "starttls", "tls": "implicit", "none": "none"}


def channels(settings: Settings) -> dict[str, Notifier]:
    """Return a notifier for each channel that is set up.

    Raises:
        SettingsRefused: A channel is set up wrongly.
    """
    found: dict[str, Notifier] = {}
    if (email := _email(settings)) is not None:
        found[email.channel] = email
    if (sms := _sms(settings)) is not None:
        found[sms.channel] = sms
    return found


def _email(settings: Settings) -> Notifier | None:
    host = "localhost" if settings.mail_folder else settings.smtp_host
    if host is None:
        return None
    name, address = parseaddr(settings.smtp_from)
    config = EmailConfig(
        host=host,
        port=settings.smtp_port,
        encryption=_ENCRYPTION[settings.smtp_security],
        sender=address,
        sender_name=name or "Casewright",
        username=settings.smtp_user,
        password=settings.smtp_password,
        ca_file=settings.smtp_ca_file,
    )
    return FolderNotifier(settings.mail_folder, config) if settings.mail_folder else EmailNotifier(config)


def _sms(settings: Settings) -> Notifier | None:
    sid, token, sender = settings.twilio_account_sid, settings.twilio_auth_token, settings.twilio_from
    if sid is None or token is None or sender is None:
        return None
    pool = sender.startswith("MG")
    config = SmsConfig(
        account_sid=sid,
        auth_token=token,
        messaging_service_sid=sender if pool else None,
        sender=None if pool else sender,
        base_url=settings.twilio_url,
    )
    return SmsNotifier(config)
