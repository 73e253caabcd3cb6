"""Events about messages and the channels by which they go."""

from __future__ import annotations

from typing import Final

from case_store.audit.catalogue.kinds import (
    BEGIN,
    COUNT,
    CREATE,
    END,
    ID,
    RESUME,
    SUSPEND,
    TEXT,
    TIME,
    UPDATE,
    Fact,
    Kind,
    Sense,
    kind,
)

_MESSAGE: Final = (
    Fact("outbox_id", ID, "The message."),
    Fact("task_id", ID, "The task it is about."),
    Fact("channel", TEXT, "The channel: email, sms and so on."),
    Fact("recipient_id", ID, "The person it is for."),
    Fact("template", TEXT, "The name of its template."),
    Fact("attempts", COUNT, "How often it was tried."),
    Fact("provider_ref", TEXT, "What the provider calls it."),
    Fact("error", TEXT, "What went wrong last.", personal="yes"),
)
_RECEIPT: Final = (
    Fact("status", TEXT, "What the provider says became of it."),
    Fact("code", TEXT, "The provider's code for why it was not delivered."),
)
_WAS: Final = Fact("was", TEXT, "The state of the message before.")
_TOLD_IN: Final = Fact("told_in", ID, "The digest.")
_INSTEAD_OF: Final = Fact("instead_of", ID, "The message that reached nobody.")
_REASON: Final = Fact("reason", TEXT, "Why.", personal="yes")
_BREAKER: Final = Fact("breaker", TEXT, "The channel.")


def _message(event_type: str, sense: Sense, meaning: str, *more: Fact) -> Kind:
    return kind(event_type, sense, meaning, *_MESSAGE, *more, streams=("case", "system"))


KINDS: Final[tuple[Kind, ...]] = (
    _message("notification.sent", UPDATE, "A message was handed to the provider, who took it."),
    _message("notification.postponed", UPDATE.unknown, "A message did not go out and is tried again.", *_RECEIPT),
    _message("notification.failed", END.failed, "A message was given up.", *_RECEIPT),
    _message("notification.unknown", UPDATE.unknown, "Nobody knows whether a message went out."),
    _message("notification.delivered", END, "A message reached its recipient's device or mailbox.", *_RECEIPT),
    _message("notification.receipt", UPDATE, "A provider said how far a message has come.", *_RECEIPT),
    _message("notification.cancelled", END, "A message was taken back, or nobody needed it any more.", _WAS, _REASON),
    _message("notification.retried", BEGIN, "Somebody had a message sent again.", _WAS),
    _message("notification.in_digest", END, "A message became part of a digest instead.", _TOLD_IN),
    _message(
        "notification.fell_over", CREATE, "A message was promised in place of one that reached nobody.", _INSTEAD_OF
    ),
    kind(
        "notification.tested",
        CREATE,
        "Somebody sent a person a test message.",
        Fact("channel", TEXT, "The channel: email, sms and so on."),
        Fact("outcome", TEXT, "What became of it: ok, permanent, temporary or unknown."),
        Fact("provider_ref", TEXT, "What the provider calls it."),
        Fact("error", TEXT, "What went wrong.", personal="yes"),
        about="person",
    ),
    kind(
        "channel.left_alone",
        SUSPEND.failed,
        "A channel failed so often that nothing is sent by it for a while.",
        _BREAKER,
        Fact("failures", COUNT, "How often it failed in a row."),
        Fact("until", TIME, "Until when."),
        Fact("error", TEXT, "What went wrong last.", personal="yes"),
    ),
    kind("channel.works_again", RESUME, "A channel that was left alone works again.", _BREAKER),
)
