"""English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from case_store import codes, forms

_PAGE: Final = {
    "error": "Error",
    "not_taken": "Not taken yet",
    "you_answer_as": "You answer as",
    "due": "Due",
    "works_until": "This link works until",
    "moment": "{at:%a %d %b %Y, %H:%M} ({zone})",
    "instructions": "What to do",
    "exactly": "What exactly will be done",
    "nothing_exactly": "A value is missing, so what is to be done could not be made out. Reject it.",
    "answers": "Your answers",
    "note": "Note",
    "note_or_why": "Note; if you skip it: why",
    "needed": "(needed)",
    "code_legend": "Sign with a code",
    "code_help": (
        "The link alone does not show that it is you. A code of eight digits does, which goes to you another way."
    ),
    "code_first": "1. Have a code sent to you.",
    "code_then": "2. Enter it here within ten minutes, then decide below.",
    "code": "Code",
    "send_code": "Send me a code",
    "send_another": "Send me another code",
    "code_sent": "A code is on its way to you by {channel}. Enter it below, then decide.",
    "choose": "Choose one of the buttons below.",
    "your_decision": "Your decision",
    "footer": "What you decide is on record and works once. If this message was not meant for you, close this page.",
    "yes": "yes",
    "no": "no",
    "moment_help": "Time in {zone}.",
    "channel.sms": "text message",
    "channel.email": "e-mail",
}
_SEVERITIES: Final = {f"severity.{one}": one for one in ("informational", "low", "medium", "high", "critical")}
_DECISIONS: Final = {
    "decide.done": "Done",
    "decide.approve": "Approve",
    "decide.reject": "Reject",
    "decide.skip": "Skip",
    "thanks": "Thank you",
    "decided.done": "“{title}” is done.",
    "decided.approve": "“{title}” is approved.",
    "decided.one_approved": "Your approval of “{title}” is on record. Somebody else has to approve it too.",
    "decided.reject": "“{title}” is rejected.",
    "decided.skip": "“{title}” is skipped.",
    "close": "It is on record in CASE-{case}. You can close this page.",
}
_ENDED: Final = {
    "unknown.head": "This link does not work",
    "unknown.words": "It is not one of ours, or a part of it is missing.",
    "unknown.step": "Copy the whole link from the message into the address line, and try again.",
    "used.head": "This link was used",
    "used.words": "A link works once, and by this one it was decided.",
    "used.step": "If that was you, nothing is left to do. If it was not you, tell whoever runs Casewright at once.",
    "revoked.head": "This link was taken back",
    "revoked.words": "It can no longer be used. Nothing was decided by it.",
    "revoked.step": "Decide in the Prefect UI, or ask whoever runs Casewright.",
    "expired.head": "This link has expired",
    "expired.words": "Links work for a limited time. Nothing was decided by it, so the task may still wait for you.",
    "expired.step": "Decide in the Prefect UI, or ask a colleague who can.",
    "decided.head": "Nothing is left to decide",
    "decided.words": "The task was decided in another way, or waits for nobody now.",
    "decided.step": "You need not do anything. What became of it is in the Prefect UI.",
    "changed.head": "The question has changed",
    "changed.words": "What was asked is no longer what is asked now, so this link decides nothing.",
    "changed.step": "If it still is yours to decide, you get or have got another message. Or decide in the Prefect UI.",
    "not_allowed.head": "This cannot be decided by link",
    "not_allowed.words": "This link does not allow that decision.",
    "not_allowed.step": "Decide in the Prefect UI, or ask whoever runs Casewright.",
    "to_prefect": "Open the Prefect UI",
}
_PROBLEMS: Final = {
    "too_old": "This page was too old, or came from elsewhere. Nothing was decided. Please decide again.",
    "note_missing": "A note is needed.",
    "why_missing": "To skip it, say why.",
    "code_missing": "The code is good no more. Have another one sent.",
    "too_many_codes": "A code was sent a moment ago, or too many within the hour. Look for it, or wait.",
    "no_other_channel": "No other way than this link's reaches you, so no code can be sent. Decide in the Prefect UI.",
    "FourEyes": "You asked for it or had a part in it, so somebody else has to decide it.",
    "NotApprover": "Your role does not decide this any more.",
    "NotYours": "The task belongs to somebody else now.",
    "PersonInactive": "You are no longer on the list of people who work on cases.",
    "AlreadyApproved": "You have approved it already; somebody else has to approve it too.",
    "MandatoryTask": "This task may not be skipped.",
    "not_now": "As things are, this cannot be decided.",
}
_WRONG: Final = {
    "wrong.404.head": "There is no such page",
    "wrong.404.words": "Nothing is at this address.",
    "wrong.405.head": "This cannot be done here",
    "wrong.405.words": "Nothing was decided.",
    "wrong.408.head": "That took too long",
    "wrong.408.words": "What you sent did not arrive in time. Nothing was decided.",
    "wrong.413.head": "This is too much",
    "wrong.413.words": "More was sent than a form can hold. Nothing was decided. Shorten the note.",
    "wrong.429.head": "Too often",
    "wrong.429.words": "This was asked for or sent too often. Nothing was decided. Wait a minute.",
    "wrong.500.head": "This went wrong",
    "wrong.500.words": "It is not your fault. Nothing was decided.",
    "wrong.503.head": "Not now",
    "wrong.503.words": "The case store is busy or down. Nothing was decided.",
    "wrong.other.head": "This was not taken",
    "wrong.other.words": "It was not sent as this page sends it. Nothing was decided.",
    "wrong.step": "Try again in a moment, or ask whoever runs Casewright.",
}

ENGLISH: Final[Mapping[str, str]] = {
    **_PAGE,
    **_SEVERITIES,
    **_DECISIONS,
    **_ENDED,
    **_PROBLEMS,
    **_WRONG,
    **{f"code.{kind}": f"{said[:1].upper()}{said[1:]}." for kind, said in codes.WRONG.items()},
    **{f"answer.{kind}": f"{said[:1].upper()}{said[1:]}" for kind, said in forms.WRONG.items()},
    "answer.no_moment": "Must be a date and a time such as 2026-01-31T09:30",
}
