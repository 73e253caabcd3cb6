"""Reads what was sent, and no more than is sensible."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

LARGEST: Final = 256 * 1024
"""Bytes. A form has a few fields; the longest text that is kept fits well."""
WITHIN: Final = 20.0
"""Seconds for all of it to arrive."""
_MOST_FIELDS: Final = 300


async def form_fields(request: Request) -> list[tuple[str, str]]:
    """Return the fields of a form in their order; a name may come several times.

    Raises:
        HTTPException: It is no form (415), too large (413), or not as forms are sent (400).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "Only forms are taken here.")
    try:
        text = (await read(request)).decode("utf-8")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise HTTPException(400, "This is not a form as browsers send it.") from None


async def read(request: Request, largest: int = LARGEST) -> bytes:
    """Return the bytes that were sent.

    Raises:
        HTTPException: There are too many (413), or they come too slowly (408).
    """
    got = bytearray()
    try:
        async with asyncio.timeout(WITHIN):
            async for chunk in request.stream():
                got += chunk
                if len(got) > largest:
                    raise HTTPException(413, f"More than {largest // 1024} KiB was sent.")
    except TimeoutError:
        raise HTTPException(408, "It did not come in time.") from None
    return bytes(got)
