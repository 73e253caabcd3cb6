"""Has the log's witnesses confirm its newest checkpoint (C2SP tlog-witness), and says aloud when one contradicts.

A witness that is away is asked again later: cases do not wait for it. It is always the newest checkpoint that is sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import httpx

from case_store import audit
from case_store.actor import Actor
from case_store.audit import witness, witnesses
from case_store.audit.checkpoints import NoteRefused
from case_store.audit.witnesses import Witness
from case_store.errors import StoreError
from case_store.models import AuditCheckpoint
from flows.clock import now
from flows.keep_going import keep_going
from flows.resources import Resources

log = logging.getLogger(__name__)

BY = Actor.system("relay")
_LOOK_EVERY: Final = 2.0  # seconds
_LONGEST_PAUSE: Final = 60.0
_DEADLINE: Final = 10.0
_LONGEST_ANSWER: Final = 64 * 1024
_TRIES: Final = 3  # a witness that remembers another size than we do is asked again at once


class _Contradicted(Exception):
    """The witness has confirmed something else before."""

    def __init__(self, what: str, size: int) -> None:
        super().__init__(what)
        self.size = size


class _NotConfirmed(Exception):
    """The witness is away, or does not want this."""


@dataclass
class Asked:
    """How it went with one witness; `pause` is how many seconds to leave it alone, 0 if all is well."""

    witness: Witness
    pause: float = 0.0
    trouble: str = ""
    said: set[str] = field(default_factory=set)


async def have_witnessed(own: Resources, every: Iterable[Witness]) -> None:
    """Have every witness confirm what is new, until cancelled."""
    async with httpx.AsyncClient(timeout=_DEADLINE) as client, asyncio.TaskGroup() as group:
        for one in every:
            group.create_task(_keep_asking(own, client, Asked(one)))


async def _keep_asking(own: Resources, client: httpx.AsyncClient, asked: Asked) -> None:
    async def step() -> bool:
        await ask(own, client, asked)
        await asyncio.sleep(asked.pause or _LOOK_EVERY)
        return True

    await keep_going(step, f"The witness {asked.witness.key.name}", every=_LOOK_EVERY, longest=_LONGEST_PAUSE)


async def ask(own: Resources, client: httpx.AsyncClient, asked: Asked) -> None:
    """Ask a witness once about the newest checkpoint, unless it has confirmed that."""
    name = asked.witness.key.name
    try:
        await _have_confirmed(own, client, asked.witness)
    except _Contradicted as error:
        asked.pause = _LONGEST_PAUSE
        await _say_aloud(own, asked, error)
    except (_NotConfirmed, StoreError, httpx.HTTPError, httpx.InvalidURL) as error:
        asked.pause = min(_LONGEST_PAUSE, (asked.pause or _LOOK_EVERY) * 2)
        if (trouble := f"{type(error).__name__}: {error}") != asked.trouble:
            log.warning("The witness %s confirms nothing at the moment, and is asked again: %s", name, trouble)
        asked.trouble = trouble
    else:
        if asked.trouble:
            log.info("The witness %s confirms again", name)
        asked.pause, asked.trouble = 0.0, ""


async def _have_confirmed(own: Resources, client: httpx.AsyncClient, one: Witness) -> None:
    async with own.store.reading() as tx:
        newest = await audit.newest_checkpoint(tx)
        last = await witnesses.last_confirmed(tx, one.key)
    if newest is None or (last is not None and last.checkpoint_id >= newest.id):
        return
    old = last.size if last is not None else 0
    for _ in range(_TRIES):
        response = await _post(own, client, one, newest, old)
        if response.status_code == httpx.codes.OK:
            await _keep(own, one, newest, response.text)
            return
        old = await _explain(own, response, newest, old)
    raise _NotConfirmed("it says another size each time")


async def _post(
    own: Resources, client: httpx.AsyncClient, one: Witness, newest: AuditCheckpoint, old: int
) -> httpx.Response:
    async with own.store.reading() as tx:
        request = await witnesses.request(tx, newest, old)
    if request is None:
        raise _NotConfirmed(f"it has confirmed {old} events, and the checkpoint at hand has {newest.size}")
    async with client.stream("POST", one.url + witness.PATH, content=request.text().encode()) as response:
        content = b""
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > _LONGEST_ANSWER:
                raise _NotConfirmed("its answer is too long")
    return httpx.Response(response.status_code, headers={"content-type": _type(response)}, content=content)


async def _explain(own: Resources, response: httpx.Response, newest: AuditCheckpoint, old: int) -> int:
    """Return the size that the witness remembers, if that is why it does not confirm.

    Raises:
        _Contradicted: What it remembers is not the beginning of our log.
        _NotConfirmed: Another reason.
    """
    if response.status_code == witness.UNPROVEN:
        raise _Contradicted(f"the {old} events that it has confirmed are not the beginning of our {newest.size}", old)
    text = response.text.strip()
    if response.status_code != witness.CONFLICT or not text.isascii() or not text.isdigit() or len(text) > 19:  # noqa: PLR2004
        raise _NotConfirmed(f"it answers {response.status_code}: {text[:200]!r}")
    size = int(text)
    if size == old == newest.size:
        raise _Contradicted(f"it has confirmed another tree of {size} events", size)
    async with own.store.reading() as tx:
        ours = await witnesses.tree_size(tx)
    if size > ours:
        raise _Contradicted(f"it has confirmed {size} events, and here are {ours}: the end of the log is gone", size)
    return size


async def _keep(own: Resources, one: Witness, newest: AuditCheckpoint, answer: str) -> None:
    try:
        async with own.store.transaction() as tx:
            await witnesses.keep(tx, newest, one.key, answer)
    except NoteRefused as error:
        raise _NotConfirmed(str(error)) from error


async def _say_aloud(own: Resources, asked: Asked, error: _Contradicted) -> None:
    log.error(
        "The witness %s CONTRADICTS our audit log: %s. Keep the database as it is, and find out who changed it"
        " or put an old copy of it back.",
        asked.witness.key.name,
        error,
    )
    what = str(error)
    if what in asked.said:
        return
    try:
        async with own.store.transaction() as tx:
            witnesses.record_contradiction(tx, asked.witness, what, size=error.size, by=BY, at=now())
    except StoreError as unwritten:
        log.warning("That is not on record yet: %s", unwritten)
    else:
        asked.said.add(what)


def _type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "text/plain"))
