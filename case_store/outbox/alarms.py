"""Those in charge hear that something reaches nobody: a message, a whole channel, or the answers in a mailbox."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import select

from case_store import contacts, find
from case_store.holds import hold
from case_store.models import Case, JsonMap, OutboxEntry, Person
from case_store.outbox.policy import ALARM, LONG, USEFUL_FOR, Policy
from case_store.store import Tx

_ANSWERS_COME_BY: Final = "email"


async def alarm(tx: Tx, entry: OutboxEntry, about: str, policy: Policy, *, at: datetime) -> int:
    """Promise to tell those in charge that a message, or a whole channel, reaches nobody; returns how many messages.

    Once an hour for each channel; an alarm causes none.
    """
    if entry.template == ALARM:
        return 0
    case = await tx.session.get(Case, entry.case_id) if entry.case_id else None
    told: JsonMap = {"about": about, "channel": entry.channel, "template": entry.template}
    if case is not None:
        told["case"] = case.number
    otherwise = await tx.session.get_one(Person, entry.recipient_id)
    return await _tell(tx, told, f"{entry.channel}:{about}", entry.channel, otherwise, policy, at)


async def mailbox_alarm(tx: Tx, mailbox: str, policy: Policy, *, at: datetime) -> int:
    """Promise to tell those in charge that no answers by mail are read; returns how many messages.

    Once an hour. Nobody hears of it where nobody has the role for alarms.
    """
    told: JsonMap = {"about": "mailbox", "channel": _ANSWERS_COME_BY, "template": mailbox}
    return await _tell(tx, told, f"mailbox:{mailbox}", _ANSWERS_COME_BY, None, policy, at)


async def _tell(
    tx: Tx, told: JsonMap, about: str, failed: str, otherwise: Person | None, policy: Policy, at: datetime
) -> int:
    await hold(tx, "alarms")
    new = 0
    for person, channel in await _hearing(tx, failed, otherwise, policy):
        whom = channel if contacts.is_room(channel) else f"{person.id}:{channel}"
        key = f"{ALARM}:{about}:{at:%Y%m%d%H}:{whom}"
        if await tx.session.scalar(select(OutboxEntry.id).where(OutboxEntry.dedup_key == key)):
            continue
        tx.session.add(
            OutboxEntry(
                dedup_key=key,
                template=ALARM,
                channel=channel,
                recipient_id=person.id,
                context={"alarm": told, "recipient": contacts.recipient_of(person)},
                next_at=at,
                not_after=at + USEFUL_FOR.get(channel, LONG),
            )
        )
        new += 1
    await tx.flush()
    return new


async def _hearing(tx: Tx, failed: str, otherwise: Person | None, policy: Policy) -> list[tuple[Person, str]]:
    """Return who hears an alarm, and by which channel: another one than what failed, where they have one.

    Where none of them has, a room hears it too. It needs no person for that; it names somebody in charge, or
    `otherwise`.
    """
    people = await find.people_with_role(tx, policy.alarm_role)
    able = [(person, channels) for person in people if (channels := contacts.channels_of(person))]
    told = [(person, next((one for one in channels if one != failed), channels[0])) for person, channels in able]
    named = people[0] if people else otherwise
    if named is None or any(channel != failed for _, channel in told):
        return told
    rooms = [room for room in policy.rooms if room != failed][:1]
    return told + [(named, room) for room in rooms]
