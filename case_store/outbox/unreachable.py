"""Messages to people whom their channel does not reach: nobody tries them, and they fall over at once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Select, or_, select

from case_store import contacts
from case_store.actor import Actor
from case_store.models import OutboxEntry, Person
from case_store.outbox.falling_over import after_death
from case_store.outbox.policy import Policy
from case_store.outbox.telling import let_go, record
from case_store.store import Tx

_ADDRESSES = {"email": Person.email, "sms": Person.phone}


async def give_up_unreachable(
    tx: Tx, channel: str, policy: Policy, *, by: Actor, at: datetime, limit: int = 100
) -> int:
    """Give up what is due to people whom a channel does not reach (any more); returns how many.

    They have no address, or one that is bad; they want nothing by it; or they do not work here any more. A sender does
    this before it claims, in the same transaction: also while the channel is left alone, so that they hear another way.
    """
    if contacts.is_room(channel):
        return 0
    done = 0
    for entry, person in (await tx.session.execute(_perhaps(channel, at, limit))).all():
        if contacts.reaches(channel, person):
            continue
        let_go(entry, "dead", f"{person.handle} is not reached by {channel}: {contacts.why_not(channel, person)}")
        record(tx, entry, by=by, at=at)
        await after_death(tx, entry, policy, by=by, at=at)
        done += 1
    await tx.flush()
    return done


def _perhaps(channel: str, at: datetime, limit: int) -> Select[OutboxEntry, Person]:
    address = _ADDRESSES[channel]
    about: ColumnElement[bool] = or_(
        address.is_(None),
        address == "",
        Person.active.is_(False),
        Person.opted_out.is_not(None),
        Person.bad_addresses.is_not(None),
    )
    return (
        select(OutboxEntry, Person)
        .join(Person, Person.id == OutboxEntry.recipient_id)
        .where(OutboxEntry.channel == channel, OutboxEntry.state == "pending", OutboxEntry.next_at <= at, about)
        .order_by(OutboxEntry.next_at, OutboxEntry.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=OutboxEntry)
        .execution_options(populate_existing=True)
    )
