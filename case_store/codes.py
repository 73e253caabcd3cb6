"""Codes to sign with: sent to a person by another channel than the link, so that a link alone signs nothing.

A code is for one person and one task, for ten minutes, and signs once. Of its digits a salted hash is kept; the message
that carries them forgets them when it has gone. A wrong code is counted, so `check` refuses nothing by raising: its
transaction has to commit.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import scrypt
from typing import Final

from sqlalchemy import select

from case_store import contacts, find, lifecycle
from case_store.actor import Actor
from case_store.audit.ledger import personal, stream_of
from case_store.models import AuditEvent, Case, OutboxEntry, Person, SignOffCode, Task
from case_store.refusals import CodeRequired, NoOtherChannel, PersonInactive, TooManyCodes
from case_store.store import Tx
from case_store.wording import task_label

DIGITS: Final = 8
GOOD_FOR: Final = timedelta(minutes=10)
TRIES: Final = 5
MOST_AN_HOUR: Final = 5
NOT_WITHIN: Final = timedelta(seconds=30)
"""How long after a code no other one is sent."""

_ENTERED: Final = re.compile(rf"[0-9]{{{DIGITS}}}", re.ASCII)


WRONG: Final[Mapping[str, str]] = {
    "nothing": "enter the code that was sent to you, or have one sent",
    "none_waits": "no code of yours waits for this task",
    "same_way": (
        "the newest code went by {channel}, the same way as the link; have another one sent, which goes another way"
    ),
    "expired": "the code is too old",
    "wrong": "the code is wrong; it may be tried {left} more times",
    "too_often": "the code was entered wrongly too often and is good no more",
}
"""What can be wrong with a code, in English."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking a code came to.

    Attributes:
        wrong: A key of `WRONG`; None: it is the code that was sent to this person for this task, in time.
        channel: By which channel the code was sent; None when there is none.
        left: How often it may be tried.
    """

    wrong: str | None = None
    channel: str | None = None
    left: int = 0

    @property
    def verified(self) -> bool:
        """Tell whether it is right."""
        return self.wrong is None

    @property
    def why(self) -> str | None:
        """Return in English why it is not; None when it is."""
        return WRONG[self.wrong].format(channel=self.channel, left=self.left) if self.wrong else None


async def send(tx: Tx, task: Task, person: Person, *, away_from: str | None, by: Actor, at: datetime) -> SignOffCode:
    """Promise somebody a code to sign a task; the codes they had for it are good no more.

    Args:
        tx: The transaction.
        task: The task, which waits for a person.
        person: Who is going to sign.
        away_from: The channel by which the link went; the code goes by another one. None when there was no link.
        by: Who asks for it.
        at: Now.

    Raises:
        NotAllowedNow: The task waits for nobody.
        PersonInactive: The person no longer works on cases.
        NoOtherChannel: Nothing else reaches the person.
        TooManyCodes: One was sent a moment ago, or five in an hour.
    """
    case, task = await find.locked(tx, task)
    if task.state not in lifecycle.ASKS_A_PERSON:
        raise lifecycle.NotAllowedNow(f"{task_label(case, task)} is {task.state}, so nobody signs it now")
    if not person.active:
        raise PersonInactive(f"{person.handle} is not active")
    channel = next((one for one in contacts.channels_of(person) if one != away_from), None)
    if channel is None:
        raise NoOtherChannel(f"no channel but {away_from or 'none'} reaches {person.handle}, so no code can be sent")
    await _end_earlier(tx, case, task, person, at)
    digits, salt = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}", secrets.token_hex(16)
    code = SignOffCode(
        task_id=task.id,
        person_id=person.id,
        channel=channel,
        salt=salt,
        digest=await _digest(digits, salt),
        sent_at=at,
        expires_at=at + GOOD_FOR,
    )
    tx.session.add(code)
    tx.session.add(_message(case, task, person, code, digits, at))
    _record(tx, "code.sent", case, task, person, code, by=by, at=at)
    await tx.flush()
    return code


async def check(
    tx: Tx, task: Task, person: Person, code: str, *, away_from: str | None, by: Actor, at: datetime
) -> Checked:
    """Check a code that somebody entered, and record whether it was right. Commit, whatever the answer is.

    Args:
        tx: The transaction.
        task: The task that is signed.
        person: Who signs.
        code: What was entered; blanks and hyphens are passed over.
        away_from: The channel by which the link went: a code that went the same way is not taken. None without a link.
        by: Who entered it.
        at: Now.
    """
    case, task = await find.locked(tx, task)
    sent = await _newest(tx, task, person)
    if sent is None or sent.used_at is not None or sent.void_at is not None:
        await _refused(tx, case, task, person, "none", by=by, at=at)
        return Checked("none_waits")
    if sent.channel == away_from:
        await _refused(tx, case, task, person, "same_way", by=by, at=at)
        return Checked("same_way", sent.channel)
    if at >= sent.expires_at:
        await _refused(tx, case, task, person, "expired", by=by, at=at)
        return Checked("expired", sent.channel)
    if not await _is(code, sent):
        sent.wrong += 1
        sent.void_at = at if sent.wrong >= TRIES else None
        _record(tx, "code.wrong", case, task, person, sent, by=by, at=at, wrong=sent.wrong)
        await tx.flush()
        left = TRIES - sent.wrong
        return Checked("wrong" if left else "too_often", sent.channel, left)
    sent.verified_at = at
    _record(tx, "code.verified", case, task, person, sent, by=by, at=at, name=personal(person, person.name))
    await tx.flush()
    return Checked(channel=sent.channel)


async def verified(tx: Tx, task: Task, person: Person, *, away_from: str | None = None, at: datetime) -> SignOffCode:
    """Return the code with which a person may sign a task now; it is not used yet.

    Args:
        tx: The transaction.
        task: The task that is signed.
        person: Who signs.
        away_from: The channel by which the link went; None without a link.
        at: Now.

    Raises:
        CodeRequired: None was verified, or not in time, or it was used, or went the way of the link.
    """
    case, task = await find.locked(tx, task)
    code = await _newest(tx, task, person)
    if code is None or code.verified_at is None or code.used_at or code.void_at or at >= code.expires_at:
        raise CodeRequired(f"{task_label(case, task)} is signed with a code that was sent to {person.handle}")
    if code.channel == away_from:
        raise CodeRequired(f"{task_label(case, task)} is signed with a code that went another way than the link")
    return code


def use(code: SignOffCode, *, at: datetime) -> None:
    """Sign with a verified code; the caller records the decision, with the code's id and channel, before any flush."""
    code.used_at = at


async def waits(tx: Tx, task: Task, person: Person, *, at: datetime) -> bool:
    """Tell whether a code was sent that the person may still enter."""
    code = await _newest(tx, task, person)
    return code is not None and not code.used_at and not code.void_at and at < code.expires_at


async def void(tx: Tx, task: Task, *, at: datetime) -> None:
    """End all codes for a task that could still sign: what is asked is another thing now, which an event says."""
    unused = SignOffCode.used_at.is_(None) & SignOffCode.void_at.is_(None)
    for code in await tx.session.scalars(select(SignOffCode).where(SignOffCode.task_id == task.id, unused)):
        code.void_at = at


async def _end_earlier(tx: Tx, case: Case, task: Task, person: Person, at: datetime) -> None:
    sent = select(SignOffCode).where(
        SignOffCode.task_id == task.id,
        SignOffCode.person_id == person.id,
        SignOffCode.sent_at > at - timedelta(hours=1),
    )
    earlier = (await tx.session.scalars(sent.order_by(SignOffCode.sent_at))).all()
    if len(earlier) >= MOST_AN_HOUR:
        raise TooManyCodes(f"{person.handle} got {len(earlier)} codes for {task_label(case, task)} within an hour")
    if earlier and at - earlier[-1].sent_at < NOT_WITHIN:
        raise TooManyCodes(f"{person.handle} got a code for {task_label(case, task)} a moment ago")
    for code in earlier:
        code.void_at = code.void_at or at


async def _newest(tx: Tx, task: Task, person: Person) -> SignOffCode | None:
    wanted = (
        select(SignOffCode)
        .where(SignOffCode.task_id == task.id, SignOffCode.person_id == person.id)
        .order_by(SignOffCode.sent_at.desc(), SignOffCode.id.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )
    found: SignOffCode | None = await tx.session.scalar(wanted)
    return found


def _message(case: Case, task: Task, person: Person, code: SignOffCode, digits: str, at: datetime) -> OutboxEntry:
    """Return the promise. Its key does not end with person and channel: nothing goes out in its place another way."""
    return OutboxEntry(
        dedup_key=f"{case.id}:{task.id}:code:{code.id}",
        case_id=case.id,
        task_id=task.id,
        channel=code.channel,
        recipient_id=person.id,
        template="code",
        context={
            "code": {"digits": digits, "minutes": int(GOOD_FOR.total_seconds() // 60)},
            "case": {"number": case.number},
            "task": {"title": task.title},
            "recipient": contacts.recipient_of(person),
        },
        next_at=at,
        not_after=code.expires_at,
    )


def _record(
    tx: Tx,
    event: str,
    case: Case,
    task: Task,
    person: Person,
    code: SignOffCode,
    *,
    by: Actor,
    at: datetime,
    **more: object,
) -> None:
    facts = {"code_id": code.id, "task_id": task.id, "who": personal(person, person.handle), "channel": code.channel}
    tx.record(event, None, by=by, at=at, case=case.id, facts=facts | more)


async def _refused(tx: Tx, case: Case, task: Task, person: Person, why: str, *, by: Actor, at: datetime) -> None:
    """Record it once an hour: nothing else bounds how often somebody tries without a code."""
    facts = {"task_id": task.id, "why": why}
    lately = select(AuditEvent.body).where(
        AuditEvent.stream == stream_of(case), AuditEvent.type == "code.refused", AuditEvent.ts > at - timedelta(hours=1)
    )
    if any(facts.items() <= json.loads(body)["facts"].items() for body in await tx.session.scalars(lately)):
        return
    told = facts | {"who": personal(person, person.handle)}
    tx.record("code.refused", None, by=by, at=at, case=case.id, facts=told)
    await tx.flush()


async def _is(entered: str, code: SignOffCode) -> bool:
    digits = re.sub(r"[\s-]", "", entered)
    if not _ENTERED.fullmatch(digits):
        return False
    return hmac.compare_digest(await _digest(digits, code.salt), code.digest)


async def _digest(digits: str, salt: str) -> str:
    """Return the hash; it takes so long that who reads the table does not find the digits while they are good."""
    made = await asyncio.to_thread(
        scrypt, digits.encode(), salt=bytes.fromhex(salt), n=1 << 14, r=8, p=1, maxmem=1 << 26, dklen=32
    )
    return made.hex()
