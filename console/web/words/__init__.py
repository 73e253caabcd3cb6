"""The words of the pages, in the languages of the messages: English, and German."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from console.web.words.english import ENGLISH
from console.web.words.german import GERMAN

LANGUAGES: Final[Mapping[str, Mapping[str, str]]] = {"en": ENGLISH, "de": GERMAN}


@dataclass(frozen=True, slots=True)
class Words:
    """What a page says in one language."""

    language: str

    def __call__(self, key: str, **facts: object) -> str:
        """Return the words of a key, with its facts in them."""
        return LANGUAGES[self.language][key].format(**facts)

    def knows(self, key: str) -> bool:
        """Tell whether there are words of this key."""
        return key in LANGUAGES[self.language]


def words_for(language: str | None) -> Words:
    """Return the words for somebody who reads a language such as `de-CH`; English where we have none."""
    ours = (language or "").lower().partition("-")[0]
    return Words(ours if ours in LANGUAGES else "en")


def words_for_browser(accepted: str) -> Words:
    """Return the words for a browser, by what it says in Accept-Language (RFC 9110, 12.5.4)."""
    best, most = "en", 0.0
    for one in accepted[:500].split(","):
        tag, _, weight = one.strip().partition(";q=")
        language = tag.lower().partition("-")[0]
        try:
            wanted = float(weight or 1)
        except ValueError:
            continue
        if language in LANGUAGES and wanted > most:
            best, most = language, wanted
    return Words(best)
