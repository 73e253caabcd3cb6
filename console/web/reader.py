"""In which words and on whose clock a page is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request

from case_store.views import answer_page
from console.web.words import Words, words_for, words_for_browser


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a page.

    Attributes:
        say: The words of the page.
        zone: Their clock; UTC when theirs is not known.
    """

    say: Words
    zone: tzinfo = UTC

    @property
    def zone_name(self) -> str:
        """Return what the zone is called."""
        return getattr(self.zone, "key", "UTC")

    def moment(self, at: datetime) -> str:
        """Write a moment as their clock shows it, with the name of the zone."""
        return self.say("moment", at=at.astimezone(self.zone), zone=self.zone_name)

    def moment_entered(self, text: str) -> str:
        """Return a moment that was entered without an offset as one with that of their clock; other text as it is."""
        try:
            entered = datetime.fromisoformat(text.strip())
        except ValueError:
            return text
        return text if entered.tzinfo else entered.replace(tzinfo=self.zone).isoformat()


def reader_for(person: answer_page.Reader | None, request: Request) -> Reader:
    """Return who reads: the person of a link as the list of people has them, else whoever the browser speaks for."""
    spoken = words_for_browser(request.headers.get("accept-language", ""))
    if person is None:
        return Reader(spoken)
    return Reader(words_for(person.language) if person.language else spoken, _zone(person.time_zone))


def _zone(name: str | None) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return UTC
