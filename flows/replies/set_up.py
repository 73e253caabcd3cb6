"""Where replies come to, by the settings."""

from __future__ import annotations

import logging
from email.utils import parseaddr

from case_store.errors import LinkKeyUnusable
from case_store.links import LinkKeys
from case_store.replies import Addresses
from case_store.replies.addresses import LONGEST_NAME
from case_store.settings import Settings
from flows.clock import now
from flows.replies.imap import ImapConfig, ImapMailbox
from flows.replies.mailbox import Mailbox, RepliesRefused
from flows.replies.spool import SpoolMailbox
from notifiers.settings import is_this_machine

log = logging.getLogger(__name__)


def mailbox_of(settings: Settings) -> Mailbox | None:
    """Return where replies come to; None when nothing is set up.

    Raises:
        RepliesRefused: The settings do not do.
    """
    if settings.reply_spool is not None:
        return SpoolMailbox(settings.reply_spool, now)
    if settings.imap_host is None or settings.imap_user is None or settings.imap_password is None:
        return None
    if settings.imap_security == "none" and not is_this_machine(settings.imap_host):
        raise RepliesRefused(
            f"from {settings.imap_host} no mail is read unencrypted",
            next_step="set CASEWRIGHT_IMAP_SECURITY to tls or starttls; none is for a server on this machine",
        )
    return ImapMailbox(
        ImapConfig(
            host=settings.imap_host,
            port=settings.imap_port,
            security=settings.imap_security,
            user=settings.imap_user,
            password=settings.imap_password,
            folder=settings.imap_folder,
            ca_file=settings.imap_ca_file,
        )
    )


def addresses_of(settings: Settings) -> Addresses:
    """Return the addresses that messages are answered at.

    Raises:
        RepliesRefused: The mailbox's address leaves no room for what names a message.
        LinkKeyUnusable: The key that signs cannot be used.
    """
    mailbox = settings.reply_address or parseaddr(settings.smtp_from)[1]
    name, _, domain = mailbox.rpartition("@")
    if not name or not domain or "+" in name or len(name) > LONGEST_NAME:
        raise RepliesRefused(
            f"{mailbox!r} cannot be the mailbox of replies",
            next_step=f"name one in CASEWRIGHT_REPLY_ADDRESS, with {LONGEST_NAME} characters at most before the @",
        )
    return Addresses(mailbox, LinkKeys.load(settings.keys), settings.reply_plus)


def answerable(settings: Settings) -> Addresses | None:
    """Return the addresses that messages bear; None when no replies are read, or no address can be signed."""
    if settings.imap_host is None and settings.reply_spool is None:
        return None
    try:
        return addresses_of(settings)
    except (RepliesRefused, LinkKeyUnusable) as error:
        log.warning("Messages go out without an address to answer at: %s", error)
        return None
