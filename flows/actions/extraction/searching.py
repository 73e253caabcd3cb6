"""Searches evidence piece by piece, within a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from flows.actions.extraction.finder import Observable, find
from flows.actions.extraction.readable import texts

SECONDS: Final = 60.0
MOST: Final = 100_000

# One expression over one chunk is what other threads wait for.
_CHUNK: Final = 64 * 1024
_OVERLAP: Final = 4 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """Observables in the order in which they were found; `complete` is false when time or number ran out."""

    items: tuple[Observable, ...]
    complete: bool


def search(pieces: Iterable[tuple[bytes, str, str]], *, seconds: float = SECONDS, most: int = MOST) -> Found:
    """Return the observables of several pieces of evidence, each once.

    Args:
        pieces: Content, name and media type of each.
        seconds: How long to search at most.
        most: How many to return at most.
    """
    until = time.monotonic() + seconds
    found: dict[Observable, None] = {}
    for content, name, media_type in pieces:
        for text in texts(content, name=name, media_type=media_type):
            for chunk in chunks(text.content):
                if time.monotonic() > until or len(found) > most:
                    return Found(tuple(found)[:most], complete=False)
                found |= dict.fromkeys(find(chunk, text.care))
    return Found(tuple(found)[:most], complete=len(found) <= most)


def chunks(text: str) -> Iterator[str]:
    """Yield a text in pieces that end where a word ends, so that nothing is cut in two."""
    start = 0
    while len(text) - start > _CHUNK:
        end = start + _CHUNK
        blanks = [text.rfind(blank, end - _OVERLAP, end) for blank in ("\n", " ", "\t")]
        end = max(blanks) + 1 or end
        yield text[start:end]
        start = end
    yield text[start:]
