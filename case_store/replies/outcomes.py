"""What became of something that was sent back, how it is told to whoever sent it, and how it is put on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal

from case_store.actor import Actor
from case_store.models import OutboxEntry, Person, Reply
from case_store.replies.letters import Letter
from case_store.store import Tx

Outcome = Literal[
    "acknowledged", "noted", "nothing_waits", "not_understood", "opted_out", "opted_in", "refused", "ignored", "receipt"
]

MAIL: Final = "email"
HELP: Final = "This decides nothing. To say that you take care of a case, write ACK and its number, such as ACK 42."


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a reply.

    Attributes:
        outcome: `receipt` is what a mail server said of a message of ours.
        case_number: The case that it is about; None for none that the sender may hear of.
        count: Of how many tasks the sender takes care now.
        why: Why it was refused or passed over; None when it was not.
        decides: It was meant to decide, which no reply does.
    """

    outcome: Outcome
    case_number: int | None = None
    count: int = 0
    why: str | None = None
    decides: bool = False

    @property
    def words(self) -> str | None:
        """What to say in a text; None for nothing."""
        match self.outcome:
            case "acknowledged":
                tasks = f"{self.count} task{'s' if self.count > 1 else ''}"
                return f"Thank you. CASE-{self.case_number}: you take care of {tasks}."
            case "nothing_waits":
                return f"CASE-{self.case_number} has nothing that waits for you."
            case "noted":
                return f"Noted in CASE-{self.case_number}. This decides nothing."
            case "not_understood":
                return HELP
            case _:
                return None


def key_of(channel: str, ref: str) -> str:
    """Return the key by which something that came in by a channel is taken once."""
    return sha256(f"{channel}:{ref}".encode("utf-8", "surrogatepass")).hexdigest()


async def was_taken(tx: Tx, key: str) -> bool:
    """Tell whether it was taken before."""
    return await tx.session.get(Reply, key) is not None


def received(
    tx: Tx, person: Person, key: str, channel: str, kind: str, *, by: Actor, at: datetime, facts: Mapping[str, object]
) -> None:
    """Declare the event that somebody sent something back."""
    known = {"reply": key, "channel": channel, "kind": kind}
    tx.record("reply.received", person, by=by, at=at, facts=known | dict(facts))


async def set_aside(
    tx: Tx, letter: Letter, outcome: str, why: str, entry: OutboxEntry | None = None, *, by: Actor, at: datetime
) -> Taken:
    """Put on record that a mail was refused (`refused`) or passed over (`ignored`), and why; nothing of it is kept."""
    case_id = entry.case_id if entry else None
    facts = {"reply": letter.key, "channel": MAIL, "why": why, "sha256": letter.sha256}
    tx.record(
        "reply.set_aside", None, by=by, at=at, case=case_id, facts=facts | {"outbox_id": entry.id if entry else None}
    )
    row = Reply(key=letter.key, channel=MAIL, at=at, outcome=outcome, why=why, case_id=case_id)
    if entry is not None:
        row.person_id, row.task_id, row.outbox_id = entry.recipient_id, entry.task_id, entry.id
    tx.session.add(row)
    await tx.flush()
    return Taken("refused" if outcome == "refused" else "ignored", why=why)
