"""By what a person can be reached: their addresses, what they do not want, and what turned out to reach nobody."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy import select

from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.models import JsonMap, Person
from case_store.refusals import NoSuchChannel
from case_store.store import Tx
from sop.times import CHANNEL_PATTERN

ADDRESSES: Final[dict[str, Callable[[Person], str | None]]] = {
    "email": lambda person: person.email,
    "sms": lambda person: person.phone,
}
"""Where each channel finds somebody, in the order in which channels are tried."""

_CHANNEL: Final = re.compile(CHANNEL_PATTERN)


def is_room(channel: str) -> bool:
    """Tell whether a channel is a room or a service that people watch: its name is where it leads, whoever is meant."""
    return channel not in ADDRESSES


def reaches(channel: str, person: Person) -> bool:
    """Tell whether a person may be tried by a channel: there is an address, it works, and they did not opt out."""
    address = ADDRESSES.get(channel)
    refused = {*(person.opted_out or ()), *(person.bad_addresses or ())}
    return address is not None and bool(address(person)) and person.active and channel not in refused


def why_not(channel: str, person: Person) -> str:
    """Return why a person is not reached by a channel."""
    address = ADDRESSES.get(channel)
    if not person.active:
        return "no longer active"
    if address is None or not address(person):
        return "no address is on record"
    return "opted out" if channel in (person.opted_out or ()) else "the address is bad"


def channels_of(person: Person) -> list[str]:
    """Return the channels by which a person can be reached, the first one first."""
    return [channel for channel in ADDRESSES if reaches(channel, person)]


def recipient_of(person: Person) -> JsonMap:
    """Return the facts about the recipient that templates ask for."""
    return {"name": person.name, "time_zone": person.time_zone}


async def opt_out(tx: Tx, person: Person, channel: str, *, by: Actor, at: datetime, why: str) -> bool:
    """Record that somebody wants nothing more by a channel; False when that is on record already.

    Args:
        tx: The transaction.
        person: Whom.
        channel: `sms` and so on.
        by: Who says so: they themselves, or the part of the system that heard it.
        at: Now.
        why: How they said so, such as "answered STOP".

    Raises:
        NoSuchChannel: That is no name of a channel.
    """
    person = await _now(tx, person, channel)
    if channel in (person.opted_out or ()):
        return False
    person.opted_out = sorted([*(person.opted_out or ()), channel])
    return await _record(tx, "person.opted_out", person, channel, why, by, at)


async def opt_in(tx: Tx, person: Person, channel: str, *, by: Actor, at: datetime, why: str) -> bool:
    """Record that somebody wants messages by a channel again; False when they never opted out.

    Raises:
        NoSuchChannel: That is no name of a channel.
    """
    person = await _now(tx, person, channel)
    if channel not in (person.opted_out or ()):
        return False
    person.opted_out = [one for one in person.opted_out or () if one != channel] or None
    return await _record(tx, "person.opted_in", person, channel, why, by, at)


async def mark_bad(tx: Tx, person: Person, channel: str, *, by: Actor, at: datetime, why: str) -> bool:
    """Record that somebody's address reaches nobody; False when that is on record. A new address counts as good.

    Raises:
        NoSuchChannel: That is no name of a channel.
    """
    person = await _now(tx, person, channel)
    if channel in (person.bad_addresses or ()):
        return False
    person.bad_addresses = sorted([*(person.bad_addresses or ()), channel])
    return await _record(tx, "person.address_bad", person, channel, why, by, at)


async def mark_good(tx: Tx, person: Person, channel: str, *, by: Actor, at: datetime, why: str) -> bool:
    """Record that an address works after all; False when nothing says that it does not.

    Raises:
        NoSuchChannel: That is no name of a channel.
    """
    person = await _now(tx, person, channel)
    if channel not in (person.bad_addresses or ()):
        return False
    person.bad_addresses = [one for one in person.bad_addresses or () if one != channel] or None
    return await _record(tx, "person.address_good", person, channel, why, by, at)


def forget_old_addresses(person: Person, email: str | None, phone: str | None) -> None:
    """Take new addresses for good ones; call it before they are set."""
    changed = {
        channel for channel, old, new in (("email", person.email, email), ("sms", person.phone, phone)) if old != new
    }
    if changed & {*(person.bad_addresses or ())}:
        person.bad_addresses = [one for one in person.bad_addresses or () if one not in changed] or None


async def _now(tx: Tx, person: Person, channel: str) -> Person:
    """Read and lock the person as they are now."""
    if not _CHANNEL.fullmatch(channel):
        raise NoSuchChannel(f"{channel[:60]!r} is no name of a channel")
    wanted = select(Person).where(Person.id == person.id).with_for_update(key_share=True)
    return (await tx.session.scalars(wanted.execution_options(populate_existing=True))).one()


async def _record(tx: Tx, event: str, person: Person, channel: str, why: str, by: Actor, at: datetime) -> bool:
    tx.record(event, person, by=by, at=at, facts={"channel": channel, "why": personal(person, why)})
    await tx.flush()
    return True
