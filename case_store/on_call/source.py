"""Where the calendar of who is on call comes from: a file, or a URL with a copy for when that does not answer.

Only the administrator of the installation names the source (`CASEWRIGHT_ON_CALL`), so it may be an address inside.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from case_store.on_call.roster import OnCallRefused, Roster, read
from case_store.settings import Settings

MAX_BYTES: Final = 2 * 1024 * 1024
_PATIENCE: Final = 10.0
_FRESH: Final = timedelta(minutes=5)
_AGAIN: Final = timedelta(minutes=1)
_COPY: Final = "on-call.ics"
_FAILED: Final = "on-call.failed"
_LONGEST_REASON: Final = 1000
Kept = tuple[bytes, datetime]


async def roster(settings: Settings, at: datetime) -> Roster:
    """Return the calendar as it is now; whatever is wrong with it is said in `problem`, and keeps nobody waiting.

    Args:
        settings: Where it is.
        at: Now; a copy of a URL that is younger than five minutes is taken as it is, and a URL that failed less than a
            minute ago is not asked.
    """
    source = settings.on_call
    if not source:
        return Roster()
    try:
        if "://" in source:
            return await _from_url(source, settings.home, at)
        content = await asyncio.to_thread(_bytes, Path(source))
        return read(content, source, at)
    except OnCallRefused as error:
        return Roster(source=shown(source), problem=str(error))


def shown(source: str) -> str:
    """Return a source without what is secret in it: user, password, path and query of a URL."""
    if "://" not in source:
        return source
    try:
        parts = urlsplit(source)
        return f"{parts.scheme}://{parts.hostname or ''}/…"
    except ValueError:
        return f"{source.partition('://')[0][:10]}://…"


async def _from_url(url: str, home: Path, at: datetime) -> Roster:
    kept = await asyncio.to_thread(_kept, home / _COPY)
    if kept is not None and _is_younger(kept, _FRESH, at):
        return read(kept[0], shown(url), kept[1])
    try:
        content, fresh = await _asked(url, home / _FAILED, at)
    except OnCallRefused as error:
        if kept is None:
            raise
        old = read(kept[0], shown(url), kept[1])
        age = at - kept[1]
        why = f"{error}; the copy of {kept[1]:%Y-%m-%d %H:%M} UTC is used ({age.total_seconds() / 3600:.1f} hours old)"
        return Roster(old.calendar, old.source, old.read_at, why)
    try:
        await asyncio.to_thread(_keep, home / _COPY, content, at)
    except OSError as error:
        why = f"no copy can be kept in {home} ({error.strerror}): free space there, and let the relay write it"
        return replace(fresh, problem=why)
    return fresh


async def _asked(url: str, failed: Path, at: datetime) -> tuple[bytes, Roster]:
    """Return the calendar that a URL has; after a failure all processes of this machine leave it alone for a minute."""
    before = await asyncio.to_thread(_kept, failed)
    if before is not None and _is_younger(before, _AGAIN, at):
        raise OnCallRefused(f"{before[0].decode(errors='replace')} (it is asked again in a minute)")
    try:
        content = await _fetched(url)
        return content, read(content, shown(url), at)
    except OnCallRefused as error:
        reason = str(error)[:_LONGEST_REASON].encode()
        await asyncio.to_thread(_if_it_can_be, lambda: _keep(failed, reason, at))
        raise


def _is_younger(kept: Kept, age: timedelta, at: datetime) -> bool:
    return timedelta() <= at - kept[1] < age


async def _fetched(url: str) -> bytes:
    try:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise OnCallRefused(f"{shown(url)} is not fetched: only http and https are")
        async with (
            asyncio.timeout(_PATIENCE),
            httpx.AsyncClient(timeout=_PATIENCE, follow_redirects=False) as client,
            client.stream("GET", url, headers={"Accept": "text/calendar"}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise OnCallRefused(f"{shown(url)} answered {answer.status_code}")
            return await _limited(answer, url)
    except TimeoutError:
        raise OnCallRefused(f"{shown(url)} did not answer within {_PATIENCE:.0f} seconds") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OnCallRefused(f"{shown(url)} cannot be reached ({type(error).__name__})") from None
    except ValueError:  # what it says may hold a password
        raise OnCallRefused(f"{shown(url)} is no address") from None


async def _limited(answer: httpx.Response, url: str) -> bytes:
    content = b""
    async for part in answer.aiter_bytes():
        content += part
        if len(content) > MAX_BYTES:
            raise OnCallRefused(f"{shown(url)} is larger than {MAX_BYTES // 1024} KiB")
    return content


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise OnCallRefused(f"{file} cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise OnCallRefused(f"{file} is larger than {MAX_BYTES // 1024} KiB")
    return content


def _kept(copy: Path) -> Kept | None:
    try:
        return copy.read_bytes(), datetime.fromtimestamp(copy.stat().st_mtime, UTC)
    except OSError:
        return None


def _keep(copy: Path, content: bytes, at: datetime) -> None:
    """Put the copy in its place whole; its time is when it was fetched."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    new = copy.with_suffix(f".{uuid4().hex}")
    try:
        new.write_bytes(content)
        os.utime(new, (at.timestamp(), at.timestamp()))
        new.replace(copy)
    finally:
        new.unlink(missing_ok=True)


def _if_it_can_be(write: Callable[[], None]) -> None:
    try:
        write()
    except OSError:
        return  # then the next one asks again, and waits again
