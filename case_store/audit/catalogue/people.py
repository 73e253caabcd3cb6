"""Events about people."""

from __future__ import annotations

from typing import Final

from case_store.audit.catalogue.kinds import CREATE, TEXT, UPDATE, Fact, Kind, kind

_CHANNEL: Final = Fact("channel", TEXT, "The channel: email, sms and so on.")
_WHY: Final = Fact("why", TEXT, "How it is known.", personal="yes")
_HOW: Final = (_CHANNEL, _WHY)

KINDS: Final[tuple[Kind, ...]] = (
    kind("person.added", CREATE, "A person was put on record.", about="person"),
    kind("person.changed", UPDATE, "What is on record about a person was changed.", about="person"),
    kind(
        "person.away",
        UPDATE,
        "It was noted that a person is, or will be, away.",
        Fact("deputy", TEXT, "The handle of the person who stands in.", personal="yes"),
        about="person",
    ),
    kind("person.back", UPDATE, "A person is there again.", about="person"),
    kind("person.opted_out", UPDATE, "A person wants no more messages by a channel.", *_HOW, about="person"),
    kind("person.opted_in", UPDATE, "A person wants messages by a channel again.", *_HOW, about="person"),
    kind("person.address_bad", UPDATE, "An address of a person turned out to reach nobody.", *_HOW, about="person"),
    kind("person.address_good", UPDATE, "An address of a person is used again.", *_HOW, about="person"),
    kind("person.held", UPDATE, "A person was put under a legal hold: nothing about them is erased.", about="person"),
    kind("person.released", UPDATE, "A person is no longer under a legal hold.", about="person"),
)
