"""How far each mailbox of replies is read. One relay reads it at a time: its right to is a lease under a token.

The cursor moves in the transaction that takes a mail, and only while the token holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from case_store.actor import Actor
from case_store.holds import hold
from case_store.models import ReplyMailbox
from case_store.models.answers import MAILBOX_FAILURES
from case_store.outbox.alarms import mailbox_alarm
from case_store.outbox.policy import DEFAULT, Policy
from case_store.store import Tx

LEASE: Final = timedelta(minutes=3)
_LONGEST_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Reading:
    """The right to read a mailbox: where to go on, and the token that `move` asks for."""

    name: str
    numbering: int | None
    cursor: int
    token: str


async def claim(tx: Tx, name: str, token: str, at: datetime) -> Reading | None:
    """Take a mailbox for one reading; None when another relay has it. Each relay has one token.

    A lease that ends much later than any lease can was given before the clock was set back; it does not count.
    """
    row = await _locked(tx, name)
    if row.token != token and row.lease_until is not None and at < row.lease_until <= at + 2 * LEASE:
        return None
    row.token, row.lease_until = token, at + LEASE
    await tx.flush()
    return Reading(name, row.numbering, row.cursor, token)


async def move(tx: Tx, reading: Reading, *, numbering: int | None, cursor: int, at: datetime) -> bool:
    """Note that everything up to `cursor` was taken; the lease begins anew.

    Returns:
        False when the mailbox passed to another relay: then nothing may be taken in this transaction.
    """
    row = await _locked(tx, reading.name)
    if row.token != reading.token:
        return False
    row.numbering, row.cursor, row.lease_until = numbering, cursor, at + LEASE
    await tx.flush()
    return True


async def worked(tx: Tx, reading: Reading, *, by: Actor, at: datetime) -> None:
    """Note that the mailbox was read, and let it go."""
    row = await _locked(tx, reading.name)
    if row.token != reading.token:
        return
    if row.failures >= MAILBOX_FAILURES:
        tx.record("mailbox.works_again", None, by=by, at=at, facts={"mailbox": row.name})
    row.token = row.lease_until = None
    row.last_ok_at, row.failures, row.failed_at, row.last_error = at, 0, None, None
    await tx.flush()


async def failed(tx: Tx, reading: Reading, reason: str, *, by: Actor, at: datetime, policy: Policy = DEFAULT) -> None:
    """Note why the mailbox could not be read, and let it go; since when it fails stays as it is.

    At the fifth failure in a row those in charge are promised to hear of it.
    """
    row = await _locked(tx, reading.name)
    if row.token != reading.token:
        return
    row.token = row.lease_until = None
    row.failures, row.failed_at, row.last_error = row.failures + 1, row.failed_at or at, reason[:_LONGEST_ERROR]
    if row.failures == MAILBOX_FAILURES:
        facts = {"mailbox": row.name, "failures": row.failures, "error": row.last_error}
        tx.record("mailbox.left_alone", None, by=by, at=at, facts=facts)
        await tx.flush()
        await mailbox_alarm(tx, row.name, policy, at=at)
    await tx.flush()


async def _locked(tx: Tx, name: str) -> ReplyMailbox:
    wanted = select(ReplyMailbox).where(ReplyMailbox.name == name).with_for_update()
    row = await tx.session.scalar(wanted.execution_options(populate_existing=True))
    if row is None:
        await hold(tx, f"mailbox {name}")  # nobody else adds it meanwhile
        row = await tx.session.scalar(wanted.execution_options(populate_existing=True))
    if row is None:
        row = ReplyMailbox(name=name)
        tx.session.add(row)
        await tx.flush()
    return row
