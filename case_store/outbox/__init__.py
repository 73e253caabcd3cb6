"""Messages that were promised: taken for sending, and settled with what the channel answered.

Sending happens between two transactions: `claim` leases a message under a token, `settle` counts only while that token
still holds it. A sender that sleeps past its lease therefore cannot overwrite what a later one learned. What the
provider says later about a message it took comes in through `receipt`.
"""

from case_store.outbox.by_hand import cancel, retry
from case_store.outbox.claiming import anything_due, claim, trying_again
from case_store.outbox.expiring import anything_to_end, expire
from case_store.outbox.needless import cancel_needless
from case_store.outbox.policy import MAX_ATTEMPTS, Policy, Result
from case_store.outbox.receipts import name_of, receipt
from case_store.outbox.settling import settle
from case_store.outbox.telling import anonymise, is_anonymous
from case_store.outbox.unreachable import give_up_unreachable

__all__ = [
    "MAX_ATTEMPTS",
    "Policy",
    "Result",
    "anonymise",
    "anything_due",
    "anything_to_end",
    "cancel",
    "cancel_needless",
    "claim",
    "expire",
    "give_up_unreachable",
    "is_anonymous",
    "name_of",
    "receipt",
    "retry",
    "settle",
    "trying_again",
]
