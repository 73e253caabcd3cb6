"""What an installation is set up with, on record: whenever a process starts with other settings than the last one.

Of what is secret, or may be the address of a person, the record holds a salted digest: it shows that a value changed,
and not which it is. The digest is slow to make (scrypt), so that a weak password cannot be tried out on an export.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy import make_url, select

from case_store.actor import Actor
from case_store.holds import hold
from case_store.models import AuditEvent
from case_store.settings import Settings
from case_store.store import CaseStore, Tx

SHOWN: Final = frozenset(
    {
        "actions",
        "alarm_role",
        "database_url",
        "emails_an_hour",
        "imap_ca_file",
        "imap_folder",
        "imap_host",
        "imap_port",
        "imap_security",
        "links_last",
        "mail_folder",
        "orphan_after",
        "pagerduty_url",
        "prefect_api_url",
        "prefect_ui_url",
        "public_url",
        "reply_plus",
        "reply_spool",
        "retention",
        "smtp_ca_file",
        "smtp_host",
        "smtp_port",
        "smtp_security",
        "sops",
        "texts_an_hour",
        "timestamp_ca_file",
        "timestamp_every",
        "timestamp_url",
        "trusted_proxies",
        "twilio_account_sid",
        "twilio_url",
        "web_port",
        "witnesses",
    }
)
"""Settings that stand in the record as they are; of URLs without user, password and query."""

HIDDEN: Final = frozenset(
    {
        "apprise",
        "database_password",
        "imap_password",
        "imap_user",
        "on_call",
        "pagerduty_key",
        "reply_address",
        "slack_url",
        "smtp_from",
        "smtp_password",
        "smtp_user",
        "teams_url",
        "twilio_auth_token",
        "twilio_from",
    }
)
"""Settings of which the record says only that they changed: secrets, URLs that are one, and addresses that may be a
person's."""

LEFT_OUT: Final[dict[str, str]] = {
    "application_password": "no running process uses it; casewright db harden does, once",
    "checkpoint_to": "audit.sink_added and its like tell of it",
    "forward_to": "audit.sink_added and its like tell of it",
    "home": "each machine has its own",
    "key_folder": "each machine has its own; audit.key_changed tells of the key",
}
"""Settings that the record does not hold, and why."""

_USER: Final = re.compile(r"(?<=://)\S*@")
_QUERY: Final = re.compile(r"(://[^\s?]*)\?\S*")
_SALT_BYTES: Final = 16

Shown = dict[str, object]


async def note(store: CaseStore, settings: Settings, process: str, *, by: Actor, at: datetime) -> bool:
    """Put on record that the settings are others than the last ones on record; False when they are not.

    Args:
        store: The case store.
        settings: The settings of this process.
        process: What starts with them: serve, relay or worker.
        by: Who starts.
        at: Now.
    """
    now, hidden = shown(settings), _hidden(settings)
    while True:
        async with store.reading() as tx:
            last = await _last(tx)
            told = json.loads(await _body(tx, last))["facts"] if last else None
        # Outside of the transaction: the digests are slow.
        facts = await asyncio.to_thread(_difference, told, now, hidden)
        if facts is None:
            return False
        async with store.transaction() as tx:
            await hold(tx, "configuration")
            if await _last(tx) == last:  # else another process was faster: compare with what it said
                tx.record("config.changed", None, by=by, at=at, facts={"process": process, **facts})
                return True


def shown(settings: Settings) -> Shown:
    """Return the settings as the record shows them: text, numbers, lists of texts; durations in seconds."""
    found = {name: _plain(getattr(settings, name)) for name in sorted(SHOWN - {"database_url"})}
    return {**found, "database_url": _plain(make_url(settings.database_url).render_as_string(hide_password=True))}


def _plain(value: object) -> object:
    match value:
        case None | bool() | int():
            return value
        case timedelta():
            return int(value.total_seconds())
        case tuple():
            return [_plain(one) for one in value]
        case Path():
            return str(value)
        case _:
            return _QUERY.sub(r"\1", _USER.sub("", str(value)))


def _hidden(settings: Settings) -> dict[str, str]:
    """Return the values of what is hidden and set."""
    values = {name: getattr(settings, name) for name in HIDDEN}
    values["database_password"] = make_url(settings.database_url).password
    return {name: _secret(value) for name, value in values.items() if value is not None}


def _secret(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _difference(told: Mapping[str, Any] | None, now: Shown, hidden: Mapping[str, str]) -> dict[str, object] | None:
    """Return what is to be told; None when it has been told already."""
    changed, before = [], {}
    if told is not None:
        digests = _digests(hidden, bytes.fromhex(told["salt"]))
        before = {name: value for name, value in told["settings"].items() if now.get(name) != value}
        changed = [name for name in now.keys() | told["settings"].keys() if now.get(name) != told["settings"].get(name)]
        changed += [name for name in digests.keys() | told["hidden"] if digests.get(name) != told["hidden"].get(name)]
        if not changed:
            return None
    salt = secrets.token_bytes(_SALT_BYTES)
    facts = {"settings": now, "hidden": _digests(hidden, salt), "salt": salt.hex()}
    return {**facts, "changed": sorted(changed), "before": before}


def _digests(values: Mapping[str, str], salt: bytes) -> dict[str, str]:
    return {name: _digest(value, salt + name.encode()) for name, value in values.items()}


def _digest(value: str, salt: bytes) -> str:
    return hashlib.scrypt(value.encode(), salt=salt, n=2**14, r=8, p=1, dklen=16).hex()


async def _last(tx: Tx) -> int | None:
    # There are few of them; asking for the newest alone tempts PostgreSQL into reading the whole trail backwards.
    return max(await tx.session.scalars(select(AuditEvent.id).where(AuditEvent.type == "config.changed")), default=None)


async def _body(tx: Tx, event: int) -> str:
    return (await tx.session.scalars(select(AuditEvent.body).where(AuditEvent.id == event))).one()
