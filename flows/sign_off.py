"""The code in a form: checked, or sent to whoever signs and left it empty."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from case_store import codes, models, tasks
from case_store.actor import Actor
from case_store.errors import StoreError
from case_store.refusals import CodeRefused, CodeRequired
from case_store.store import Tx

LINK_CHANNEL: Final = "email"
"""By which the link to the form is sent, so that the code goes another way."""


async def check(
    tx: Tx, task: models.Task, signer: models.Person, code: str | None, *, by: Actor, at: datetime
) -> tuple[StoreError | None, str | None]:
    """Check the code, or send one if none was entered.

    Returns:
        Why the answer is not taken, to be raised once the transaction is committed; and by which channel the code
        went.

    Raises:
        StoreError: No code can be sent.
    """
    if code is None:
        await tasks.refuse_without_code(tx, task, signer)
        sent = await codes.send(tx, task, signer, away_from=LINK_CHANNEL, by=by, at=at)
        said = f"a code was sent to {signer.handle} by {sent.channel}; it is good until {sent.expires_at:%H:%M} UTC"
        return CodeRequired(said, next_step="enter its eight digits in the form and send it again"), sent.channel
    checked = await codes.check(tx, task, signer, code, away_from=LINK_CHANNEL, by=by, at=at)
    return (None if checked.verified else CodeRefused(checked.why)), checked.channel
