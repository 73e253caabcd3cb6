"""One POST to a provider, sent once; and what its answer means.

By aiohttp and not by httpx, because httpx writes each address into the log, and that of a webhook is a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from notifiers.cleaning import one_line
from notifiers.contract import Outcome
from notifiers.reaching import AnswerLost, NotReached, time_to_wait

_LONGEST_ANSWER: Final = 4096
_BUSY: Final = frozenset({408, 425, 429, 500, 503})
# A gateway in front of the provider lost the answer; the provider may have the message.
_ANSWER_LOST: Final = frozenset({502, 504})
_NOT_OURS: Final = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405, 410})
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; names of headers are in lower case."""

    status: int
    text: str
    headers: Mapping[str, str]


def new_session(connect_timeout: float) -> aiohttp.ClientSession:
    """Return a session that keeps no connection: one may have died unnoticed, and a POST into it leaves us in doubt."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


@contextmanager
def failures_told_apart() -> Iterator[None]:
    """Raise what a request of aiohttp failed with as NotReached or AnswerLost."""
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as reason:
        untrusted = isinstance(reason, aiohttp.ClientConnectorCertificateError)
        raise NotReached(str(reason), untrusted=untrusted) from reason
    except (aiohttp.ClientError, OSError, UnicodeError) as reason:
        raise AnswerLost(str(reason) or type(reason).__name__) from reason


async def post(session: aiohttp.ClientSession, url: str, payload: Mapping[str, Any]) -> Answer:
    """Send the payload as JSON, once, and give the answer, of which 4 KiB are read. No redirect is followed.

    Raises:
        NotReached: No connection came about.
        AnswerLost: The request went out and no answer came.
    """
    with failures_told_apart():
        async with session.post(url, json=payload, allow_redirects=False) as answer:
            content = b""
            async for piece in answer.content.iter_any():
                content += piece
                if len(content) > _LONGEST_ANSWER:
                    break
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(answer.status, content[:_LONGEST_ANSWER].decode("utf-8", "replace"), headers)


def outcome_of_answer(provider: str, answer: Answer) -> Outcome:
    """Judge an answer that is not a yes; `provider` is for a person to read."""
    words = f"{provider} answered {answer.status}: {one_line(answer.text, 200) or 'no words'}"
    if answer.status in _NOT_OURS:
        return Outcome.permanent(words, channel_fault=True)
    if answer.status in _ANSWER_LOST:
        return Outcome.unknown(words)
    if answer.status in _BUSY or answer.status >= _SERVER_ERROR:
        return Outcome.temporary(words, time_to_wait(answer.headers.get("retry-after")))
    return Outcome.permanent(words)
