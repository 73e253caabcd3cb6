"""What people answer to messages. Senders can be forged, so an answer acknowledges or comments, and decides nothing."""

from case_store.replies.taking import Sender, by_phone, take, take_of_shared
from case_store.replies.words import Said, read

__all__ = ["Said", "Sender", "by_phone", "read", "take", "take_of_shared"]
