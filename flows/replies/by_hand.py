"""Takes one mail by hand: a file that somebody saved, or that was left over."""

from __future__ import annotations

import sys
from asyncio import to_thread
from pathlib import Path

from case_store import find, replies
from case_store.actor import Actor
from case_store.blobs import Blobs
from case_store.outbox import Policy
from case_store.replies import Letter
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.clock import now
from flows.replies.mailbox import RepliesRefused
from flows.replies.reading import BEGINNING, LARGEST, read_letter
from flows.replies.set_up import addresses_of


async def take_file(settings: Settings, file: Path, by: str) -> int:
    """Take the mail in a file and say what became of it; returns 0 when it was taken, now or before.

    Raises:
        RepliesRefused: The file cannot be read, or replies are not set up.
        NotFound: Nobody on record is called so.
        StoreError: The case store cannot be used.
    """
    letter = await to_thread(_letter, file, settings)
    store = await CaseStore.open(settings)
    try:
        async with store.transaction() as tx:
            actor = Actor.person(await find.person(tx, by))
            taken = await replies.take_letter(
                tx, Blobs(settings.blobs), letter, by=actor, at=now(), policy=Policy.of(settings)
            )
    finally:
        await store.close()
    if taken is None:
        sys.stdout.write("it was taken before; see: casewright reply list\n")
        return 0
    about = f" CASE-{taken.case_number}" if taken.case_number else ""
    why = f" ({taken.why})" if taken.why else ""
    sys.stdout.write(f"{taken.outcome}{about}{why}\n")
    return 1 if taken.outcome == "refused" else 0


def _letter(file: Path, settings: Settings) -> Letter:
    try:
        with file.open("rb") as content:
            raw = content.read(LARGEST + 1)
    except OSError as error:
        raise RepliesRefused(f"{file}: {error.strerror or error}", next_step="name a file with one mail") from error
    whole = len(raw) <= LARGEST
    return read_letter(raw if whole else raw[:BEGINNING], addresses_of(settings), whole=whole)
