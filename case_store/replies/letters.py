"""A mail that came in, as far as it matters here. Whoever reads the bytes makes it; nothing of it is believed yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from case_store.replies.addresses import Named
from case_store.replies.words import Said

Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a mail server says became of a letter (RFC 3464): the action, its code such as 5.1.1, and about whom."""

    action: Action
    status: str
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail that came in.

    Attributes:
        key: What tells it from all others.
        sha256: Of its bytes, or of as many as were read of one that is too large.
        raw: Its bytes; None when it is too large to be kept.
        sender: The one address in its From, in lower case; None when there is none, or several.
        named: The message of ours that one of its addresses names, by our signature.
        thread: Message-IDs that it says it answers, the nearest first.
        automatic: Why nobody wrote it: `auto_submitted`, `list`, `bulk`, `bounce`, `own`, `unreadable`; None when
            somebody did.
        said: What it says, without what it quotes.
        more: Beyond its first line it says something, besides a greeting and a name.
        attachments: How many files it carries; they are in the mail alone.
        report: What a mail server reports, if it is such a report.
    """

    key: str
    sha256: str
    said: Said
    raw: bytes | None = field(default=None, repr=False)
    sender: str | None = None
    named: Named | None = None
    thread: tuple[str, ...] = ()
    automatic: str | None = None
    more: bool = False
    attachments: int = 0
    report: Report | None = None
