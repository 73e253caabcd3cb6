"""Who is on call, as a calendar (iCalendar, RFC 5545) says it: a file, or a URL that other tools keep.

An event says when; its attendees say who, by e-mail address, or its summary by handle or address. Several may be on
call at once.
"""

from case_store.on_call.roster import Entry, OnCallRefused, Roster, people, read
from case_store.on_call.source import roster

__all__ = ["Entry", "OnCallRefused", "Roster", "people", "read", "roster"]
