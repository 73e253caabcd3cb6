"""Links in messages by which one person may decide one task, once, without logging in.

A link carries a name that nobody guesses, made and signed with a key of the installation. What it allows is in the
database, under the digest of that name: neither the key nor the database alone is enough to make one.
"""

from case_store.links.answering import SIGNED, Answer, answer, check_code, look, send_code, signs
from case_store.links.keys import LinkKeys
from case_store.links.minting import ASKING, mint, revoke
from case_store.links.visits import opened, refused

__all__ = [
    "ASKING",
    "SIGNED",
    "Answer",
    "LinkKeys",
    "answer",
    "check_code",
    "look",
    "mint",
    "opened",
    "refused",
    "revoke",
    "send_code",
    "signs",
]
