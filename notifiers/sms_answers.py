"""What an answer of Twilio means for the text, by its error code (Twilio's error dictionary) and HTTP status."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from notifiers.cleaning import one_line
from notifiers.contract import Outcome

LONGEST_TEXT: Final = 1600  # characters; more is refused with 21617

# Nobody can be reached until an administrator acts.
_CHANNEL: Final = {
    20003: "account SID or token is wrong",
    20404: "there is no such account",
    21603: "no sender is set",
    21609: "the address for status callbacks (CASEWRIGHT_PUBLIC_URL) is not one that Twilio can reach",
    21606: "the sender number is not ours for texts",
    21608: "a trial account texts verified numbers only",
    21659: "the sender number is not ours",
    21660: "the sender number belongs to another account",
    21701: "there is no such messaging service",
    21703: "the messaging service has no sender",
    30002: "the account is suspended",
}
# This person cannot be reached by text, or not by this text.
_PERMANENT: Final = {
    21211: "the number does not exist",
    21408: "texts to this country are not allowed to the account",
    21610: "the person has opted out of texts",
    21612: "the number cannot be reached from our sender",
    21614: "the number is not a mobile",
    21617: "the text is too long",
    30005: "the number is unknown to its network",
    30006: "the number is a landline",
    30007: "the network filtered the text",
}
_OPTED_OUT: Final = 21610
_BAD_NUMBER: Final = frozenset({21211, 21612, 21614, 30005, 30006})
_TEMPORARY: Final = {
    14107: "too many texts at once",
    20429: "too many requests",
    21611: "the sender's queue is full",
    30001: "the sender's queue is full",
    30003: "the phone is off or out of reach",
    30008: "the network gave no reason",
}
_BUSY: Final = frozenset({408, 425, 429, 500, 503})
# A gateway in front of Twilio lost the answer; Twilio may have the request.
_ANSWER_LOST: Final = frozenset({502, 504})
_UNAUTHORISED: Final = frozenset({401, 403})


def outcome_of_refusal(status: int, code: int, text: str, retry_after: timedelta | None) -> Outcome:
    """Judge a refusal.

    Args:
        status: HTTP status.
        code: Twilio's own error code; the HTTP status where the answer bore none.
        text: What Twilio said.
        retry_after: What the header of that name asked for; None without one.
    """
    meaning = _CHANNEL.get(code) or _PERMANENT.get(code) or _TEMPORARY.get(code)
    said = one_line(text, 200) or "no words"
    words = f"Twilio {code}: {meaning} ({said})" if meaning else f"Twilio {code}: {said}"
    if code in _CHANNEL or status in _UNAUTHORISED:
        return Outcome.permanent(words, channel_fault=True)
    if code in _PERMANENT:
        return Outcome.permanent(words, opted_out=code == _OPTED_OUT, bad_address=code in _BAD_NUMBER)
    if code in _TEMPORARY or status in _BUSY:
        return Outcome.temporary(words, retry_after)
    if status in _ANSWER_LOST:
        return Outcome.unknown(words)
    if status >= 500:  # noqa: PLR2004 - whatever else a server may fail with
        return Outcome.temporary(words, retry_after)
    return Outcome.permanent(words)
