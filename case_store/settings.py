"""Settings, from the environment (`CASEWRIGHT_...`). Importing this loads no database code."""

import os
import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from case_store.sinks.address import require_all

ALARM_ROLE: Final = "incident-manager"


class Settings(BaseSettings):
    """What an installation decides. Every field can be set as `CASEWRIGHT_` + its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="CASEWRIGHT_", extra="ignore", frozen=True, hide_input_in_errors=True)

    home: Path = Field(Path("var"), description="Folder of the data: database, evidence, logs.")
    database_url: str = Field(
        "",
        repr=False,
        description="sqlite+aiosqlite:///FILE or postgresql://USER@HOST/DATABASE; default: casewright.db in `home`.",
    )
    database_password: SecretStr | None = Field(
        None, description="Password of the database user, if it is not in the URL."
    )
    application_password: SecretStr | None = Field(
        None, description="Password that `casewright db harden` gives to the application role; unset it afterwards."
    )
    sops: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Folders with SOPs of your own, separated like PATH; the built-in ones are always there."
    )
    actions: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Modules with actions of your own, separated by commas."
    )
    public_url: str | None = Field(
        None,
        description="Where people reach the answer pages (casewright web); without it messages carry no such links.",
    )
    web_port: int = Field(4280, ge=0, le=65535, description="Where `casewright web` listens, and `up` has it listen.")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "::1"),
        description="Addresses or networks of the proxies before `casewright web`, separated by commas; the "
        "X-Forwarded-For of others is not believed.",
    )
    links_last: timedelta = Field(
        timedelta(days=3), ge=timedelta(minutes=1), description="How long a link in a message can be used."
    )
    prefect_api_url: str = Field("http://127.0.0.1:4200/api", description="Where the Prefect server answers.")
    prefect_ui_url: str = Field("http://127.0.0.1:4200", description="Where people see the Prefect UI.")

    orphan_after: timedelta = Field(
        timedelta(seconds=30), description="How long a run may claim to be carried out by a process that gives no sign."
    )

    on_call: str | None = Field(
        None, repr=False, description="Calendar of who is on call: a file or an http(s) URL, iCalendar (.ics)."
    )

    retention: str | None = Field(
        None, description="How long what is personal in an ended case is kept, such as 3y: `casewright retention run`."
    )
    key_folder: Path | None = Field(
        None, description="Folder of the audit log's key, the same for all relays; default: keys in `home`."
    )

    witnesses: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Witnesses of the audit log, separated by commas: URL and public key, with a blank between."
    )

    timestamp_url: str | None = Field(
        None, description="A time-stamping authority (RFC 3161) that says when the audit log was what it is."
    )
    timestamp_ca_file: Path | None = Field(
        None, description="Certificates (PEM) that its answers must lead to; without them any certificate is taken."
    )
    timestamp_every: timedelta = Field(
        timedelta(hours=1), ge=timedelta(minutes=1), description="How long at least from one time stamp to the next."
    )

    checkpoint_to: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Sinks for checkpoints: URLs with blanks between (file, syslog+tls, syslog+tcp, mailto)."
    )
    forward_to: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Sinks for audit events: URLs with blanks between (file, syslog+tls, syslog+tcp, syslog+udp)."
    )

    mail_folder: Path | None = Field(
        None, description="Folder to write mail into, instead of sending it; for trying things out."
    )
    smtp_host: str | None = Field(None, description="Mail server; without it no mail is sent.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    smtp_security: Literal["starttls", "tls", "none"] = Field("starttls", description="How the mail is protected.")
    smtp_user: str | None = Field(None, description="User at the mail server.")
    smtp_password: SecretStr | None = Field(None, description="Password at the mail server.")
    smtp_ca_file: Path | None = Field(None, description="Certificates (PEM) to trust in place of the system's.")
    smtp_from: str = Field("Casewright <casewright@localhost>", description="Sender of the mail.")

    imap_host: str | None = Field(
        None, description="Server of the mailbox that answers to mail come to; without it none is read."
    )
    imap_port: int = Field(993, ge=1, le=65535, description="Port of that server.")
    imap_security: Literal["tls", "starttls", "none"] = Field("tls", description="How that mailbox is read.")
    imap_user: str | None = Field(None, description="User at that server.")
    imap_password: SecretStr | None = Field(None, description="Password at that server.")
    imap_folder: str = Field("INBOX", description="Folder of the mailbox that is read.")
    imap_ca_file: Path | None = Field(None, description="Certificates (PEM) to trust in place of the system's.")
    reply_spool: Path | None = Field(
        None, description="A folder that answers to mail are put into (a maildir, or .eml files), instead of a mailbox."
    )
    reply_address: str | None = Field(
        None, description="Address of the mailbox that answers come to; default: that of `smtp_from`."
    )
    reply_plus: bool = Field(
        True, description="Whether its server delivers name+anything@ to it; else answers become notes and no more."
    )

    twilio_account_sid: str | None = Field(None, description="Twilio account; without it no SMS is sent.")
    twilio_auth_token: SecretStr | None = Field(None, description="Token of the Twilio account.")
    twilio_from: str | None = Field(None, description="Sender's number, or MG... for a messaging service.")
    twilio_url: str | None = Field(None, description="Where Twilio's API is reached; default: Twilio itself.")

    pagerduty_key: SecretStr | None = Field(
        None, description="Integration key of a service at PagerDuty; without it nobody is paged."
    )
    pagerduty_url: str | None = Field(None, description="Where PagerDuty's API is reached; default: PagerDuty itself.")
    slack_url: SecretStr | None = Field(None, description="Incoming webhook of the channel in Slack.")
    teams_url: SecretStr | None = Field(None, description="Workflow's webhook of the channel in Microsoft Teams.")
    apprise: SecretStr | None = Field(
        None, description="More targets, by Apprise: NAME=URL with blanks between; each is the channel apprise:NAME."
    )

    texts_an_hour: int = Field(
        6, ge=1, le=1000, description="Texts that one person gets in an hour; what is over becomes one digest."
    )
    emails_an_hour: int = Field(
        60, ge=1, le=10000, description="E-mails that one person gets in an hour; what is over becomes one digest."
    )
    alarm_role: str = Field(
        ALARM_ROLE, description="Role of those who hear of messages that reach nobody and of dead channels."
    )

    @property
    def templates(self) -> Path:
        """Folder of this installation's own message templates; it need not be there."""
        return self.home / "templates"

    @property
    def blobs(self) -> Path:
        """Folder of the evidence."""
        return self.home / "evidence"

    @property
    def keys(self) -> Path:
        """Folder of the key that signs for the audit log; all relays need the same one."""
        return self.key_folder or self.home / "keys"

    @field_validator("public_url")
    @classmethod
    def _require_an_address(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?", value):
            raise ValueError("give the address as people type it, such as https://soar.example.org")
        return value.rstrip("/") if value else None

    @field_validator("trusted_proxies")
    @classmethod
    def _require_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(ip_network(one)) for one in value)
        except ValueError as error:
            raise ValueError(f"give addresses or networks such as 10.1.2.3 or 10.1.2.0/28: {error}") from None

    @field_validator("reply_address")
    @classmethod
    def _require_a_mailbox(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9._-]{1,20}@[A-Za-z0-9.-]{1,253}", value):
            raise ValueError("give an address such as soc@example.org, with 20 characters at most before the @")
        return value

    @field_validator("timestamp_url")
    @classmethod
    def _require_http(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"https?://([^\s/?#@]+@)?[^\s/?#@]+([/?]\S*)?", value):
            raise ValueError("give the authority's address as it names it, such as http://timestamp.example.org/tsr")
        return value or None

    @field_validator("sops", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value

    @field_validator("actions", "trusted_proxies", "witnesses", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return tuple(filter(None, (name.strip() for name in value.split(",")))) if isinstance(value, str) else value

    @field_validator("checkpoint_to", "forward_to", mode="before")
    @classmethod
    def _split_urls(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("checkpoint_to")
    @classmethod
    def _require_sinks_of_checkpoints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        require_all(value, "checkpoints")
        return value

    @field_validator("forward_to")
    @classmethod
    def _require_sinks_of_events(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        require_all(value, "events")
        return value

    @model_validator(mode="after")
    def _require_one_way_for_replies(self) -> Self:
        if self.imap_host is not None and self.reply_spool is not None:
            raise ValueError("CASEWRIGHT_IMAP_HOST, CASEWRIGHT_REPLY_SPOOL: answers come in one way; unset one of them")
        if self.imap_host is not None and (self.imap_user is None or self.imap_password is None):
            raise ValueError("CASEWRIGHT_IMAP_HOST needs CASEWRIGHT_IMAP_USER and CASEWRIGHT_IMAP_PASSWORD")
        return self

    @model_validator(mode="after")
    def _complete_the_url(self) -> Self:
        url = self.database_url or f"sqlite+aiosqlite:///{self.home.absolute() / 'casewright.db'}"
        object.__setattr__(self, "database_url", _with_password(_with_driver(url), self.database_password))
        return self


_DRIVERS = {"postgresql://": "postgresql+asyncpg://", "postgres://": "postgresql+asyncpg://"}


def _with_driver(url: str) -> str:
    for plain, full in _DRIVERS.items():
        if url.startswith(plain):
            return full + url.removeprefix(plain)
    return url


def _with_password(url: str, password: SecretStr | None) -> str:
    """Put the password between user and host; the URL itself may then stand in a file that others read."""
    from urllib.parse import quote  # noqa: PLC0415

    scheme, _, rest = url.partition("://")
    user, at, host = rest.partition("@")
    if password is None or not at or ":" in user:
        return url
    return f"{scheme}://{user}:{quote(password.get_secret_value(), safe='')}@{host}"
