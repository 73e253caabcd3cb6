"""Has a time-stamping authority say when the audit log was what its newest checkpoint tells (RFC 3161).

An authority that is away is asked again later: nothing waits for it.
"""

from __future__ import annotations

from typing import Final

import httpx

from case_store.audit import timestamps
from case_store.audit.timestamps import Authority, TimestampRefused
from flows.clock import now
from flows.keep_going import keep_going
from flows.resources import Resources

_LOOK_EVERY: Final = 5.0  # seconds
_LONGEST_PAUSE: Final = 600.0
_DEADLINE: Final = 20.0
_LONGEST_ANSWER: Final = 64 * 1024
_KNOWN: Final = (TimestampRefused, httpx.HTTPError, httpx.InvalidURL)
_QUERY: Final = {"content-type": "application/timestamp-query", "accept": "application/timestamp-reply"}


async def have_stamped(own: Resources, authority: Authority | None) -> None:
    """Have what is new stamped, until cancelled; without an authority there is nothing to do."""
    if authority is None:
        return
    what = f"Time stamps of {authority.url}"
    async with httpx.AsyncClient(timeout=_DEADLINE) as client:
        await keep_going(
            lambda: _stamp(own, client, authority), what, every=_LOOK_EVERY, longest=_LONGEST_PAUSE, known=_KNOWN
        )


async def _stamp(own: Resources, client: httpx.AsyncClient, authority: Authority) -> None:
    await stamp(own, client, authority)  # the next one comes after a while, even if this one was due


async def stamp(own: Resources, client: httpx.AsyncClient, authority: Authority) -> bool:
    """Have the newest checkpoint stamped if that is due; tell whether it was.

    Raises:
        TimestampRefused: The answer is none that can be kept.
        httpx.HTTPError: The authority cannot be reached.
    """
    async with own.store.reading() as tx:
        checkpoint = await timestamps.due(tx, now(), own.settings.timestamp_every)
    if checkpoint is None:
        return False
    asked = timestamps.request_for(checkpoint.note)
    answer = await _post(client, authority.url, asked.as_bytes())
    at = timestamps.read(answer, asked, checkpoint.note, authority)
    async with own.store.transaction() as tx:
        await timestamps.keep(tx, checkpoint, authority, answer, at)
    return True


async def _post(client: httpx.AsyncClient, url: str, query: bytes) -> bytes:
    async with client.stream("POST", url, content=query, headers=_QUERY) as response:
        if response.status_code != httpx.codes.OK:
            raise TimestampRefused(f"it answers {response.status_code}")
        content = b""
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > _LONGEST_ANSWER:
                raise TimestampRefused("its answer is too long")
    return content
