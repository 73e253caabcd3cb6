"""What people answer to messages. Senders can be forged, so an answer acknowledges or comments, and decides nothing."""

from case_store.replies.addresses import Addresses, Named
from case_store.replies.by_mail import take_letter
from case_store.replies.letters import Letter, Report
from case_store.replies.mail_words import read_reply
from case_store.replies.outcomes import Taken, set_aside
from case_store.replies.taking import Sender, by_phone, take, take_of_shared
from case_store.replies.words import Said, read

__all__ = [
    "Addresses",
    "Letter",
    "Named",
    "Report",
    "Said",
    "Sender",
    "Taken",
    "by_phone",
    "read",
    "read_reply",
    "set_aside",
    "take",
    "take_letter",
    "take_of_shared",
]
