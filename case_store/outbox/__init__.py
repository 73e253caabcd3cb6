"""Messages that were promised: taken for sending, and settled with what the channel answered.

Sending happens between two transactions: `claim` leases a message under a token, `settle` counts only while that token
still holds it. A sender that sleeps past its lease therefore cannot overwrite what a later one learned. What the
provider says later about a message it took comes in through `receipt`.
"""

from case_store.outbox.by_hand import cancel, retry
from case_store.outbox.claiming import claim, expire, trying_again
from case_store.outbox.needless import cancel_needless
from case_store.outbox.policy import MAX_ATTEMPTS, Policy, Result
from case_store.outbox.receipts import receipt
from case_store.outbox.settling import settle
from case_store.outbox.telling import anonymise, is_anonymous

__all__ = [
    "MAX_ATTEMPTS",
    "Policy",
    "Result",
    "anonymise",
    "cancel",
    "cancel_needless",
    "claim",
    "expire",
    "is_anonymous",
    "receipt",
    "retry",
    "settle",
    "trying_again",
]
