"""Events about how people sign and answer: approvals by several, codes, links, and what they write back."""

from __future__ import annotations

from typing import Final

from case_store.audit.catalogue.kinds import (
    COUNT,
    CREATE,
    END,
    FLAG,
    ID,
    LOGIN,
    RESUME,
    SHA256,
    SUSPEND,
    TEXT,
    UPDATE,
    Fact,
    Kind,
    kind,
)

_WHO: Final = Fact("who", TEXT, "The handle of the person.", personal="yes")
_CHANNEL: Final = Fact("channel", TEXT, "The channel: email, sms and so on.")
_CODE_ID: Final = Fact("code_id", ID, "The code that it was signed with.")
_REPLY: Final = Fact("reply", TEXT, "The key by which it is taken once.")
_MAIL: Final = Fact("sha256", SHA256, "The hash of the mail as it came.")
_MESSAGE: Final = Fact("outbox_id", ID, "The message of ours that it is about.")
_MAILBOX: Final = Fact("mailbox", TEXT, "Which one: `imap` or `spool`.")
PROOF: Final = (
    _CODE_ID,
    Fact("verified_by", TEXT, "The channel by which the code was sent."),
    Fact("name", TEXT, "The name of the person who signed.", personal="yes"),
)
_CODE: Final = (Fact("code_id", ID, "The code."), Fact("task_id", ID, "The task it signs."), _WHO, _CHANNEL)

_VISITS: Final = Fact("count", COUNT, "How often in this hour; of many, the 1st, 10th, 100th and so on is on record.")

KINDS: Final[tuple[Kind, ...]] = (
    kind(
        "approval.given",
        CREATE,
        "One of the people who are needed approved.",
        _WHO,
        Fact("number", COUNT, "Which of the approvals that are needed it is, from 1."),
        Fact("needed", COUNT, "How many are needed."),
        *PROOF,
        about="approval",
    ),
    kind(
        "approval.voided", END, "An approval no longer counts, because it was for other parameters.", about="approval"
    ),
    kind("code.sent", CREATE, "A code to sign with was sent to a person.", *_CODE, streams="case"),
    kind(
        "code.wrong",
        LOGIN.failed,
        "A person entered another code than the one that was sent.",
        *_CODE,
        Fact("wrong", COUNT, "How often so far."),
        streams="case",
    ),
    kind(
        "code.refused",
        LOGIN.failed,
        "A person entered a code when none of theirs was good for the task; once an hour for each task and reason.",
        Fact("task_id", ID, "The task it was entered for."),
        _WHO,
        Fact("why", TEXT, "Why none was: none, same_way (as the link), or expired."),
        streams="case",
    ),
    kind(
        "code.verified",
        LOGIN,
        "A person entered the code that was sent to them.",
        *_CODE,
        Fact("name", TEXT, "The name of the person.", personal="yes"),
        streams="case",
    ),
    kind("answer_link.minted", CREATE, "A message got a link by which its reader may decide.", about="answer_link"),
    kind(
        "answer_link.opened",
        LOGIN,
        "Somebody was shown what a link asks: the person it was made for, or whoever has it.",
        _WHO,
        _VISITS,
        about="answer_link",
    ),
    kind(
        "answer_link.refused",
        LOGIN.failed,
        "Somebody came with a link that cannot be used.",
        _WHO,
        Fact("why", TEXT, "Why: used, revoked, expired, decided, changed, not_allowed."),
        _VISITS,
        about="answer_link",
    ),
    kind(
        "answer_link.unknown",
        LOGIN.failed,
        "Somebody came with a link that is none of ours.",
        Fact("signed", FLAG, "Whether a key of ours signed it, so that the link itself is what is missing."),
        _VISITS,
    ),
    kind(
        "answer_link.used",
        LOGIN,
        "A person decided by a link.",
        _CODE_ID,
        Fact("code_by", TEXT, "The channel by which the code was sent."),
        _WHO,
        about="answer_link",
    ),
    kind(
        "answer_link.revoked",
        END,
        "Somebody took a link back before it was used.",
        Fact("reason", TEXT, "Why.", personal="yes"),
        about="answer_link",
    ),
    kind(
        "reply.received",
        CREATE,
        "A person sent something back by a channel.",
        _REPLY,
        _CHANNEL,
        Fact("ref", TEXT, "What the provider calls it."),
        Fact("kind", TEXT, "What it was taken for: acknowledge, decide, comment, stop and so on."),
        _MAIL,
        _MESSAGE,
        about="person",
    ),
    kind(
        "reply.noted",
        UPDATE,
        "What somebody sent back became a note, unverified.",
        _CHANNEL,
        _WHO,
        Fact("note_id", ID, "The note."),
        Fact("evidence_id", ID, "The mail as it came."),
        Fact("own_address", FLAG, "Whether it says that it comes from the person's own address."),
        Fact("signed_address", FLAG, "Whether it came to the address that was signed for the message it answers."),
        streams="case",
    ),
    kind(
        "reply.set_aside",
        CREATE.failed,
        "A mail that came back was refused, or passed over because nobody wrote it.",
        _REPLY,
        _CHANNEL,
        Fact("why", TEXT, "Why: unknown, sender, hidden, too_many, auto_submitted and so on."),
        _MAIL,
        _MESSAGE,
        streams=("case", "system"),
    ),
    kind(
        "reply.reported",
        UPDATE,
        "A mail server said what became of a letter that it had taken.",
        _REPLY,
        _MAIL,
        _MESSAGE,
        Fact("action", TEXT, "What it did with it: failed or delivered (RFC 3464)."),
        Fact("status", TEXT, "The code for that (RFC 3463)."),
        streams=("case", "system"),
    ),
    kind(
        "mailbox.left_alone",
        SUSPEND.failed,
        "A mailbox of replies could not be read so often that it is asked more seldom.",
        _MAILBOX,
        Fact("failures", COUNT, "How often in a row."),
        Fact("error", TEXT, "What went wrong last."),
    ),
    kind("mailbox.works_again", RESUME, "A mailbox of replies that was left alone is read again.", _MAILBOX),
)
