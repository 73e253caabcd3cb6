"""Every kind of event that may be put on record, and what it says.

An event of a kind that is not here, or with a fact that its kind does not have, is refused (`require`). To add one, add
a line to the module of its area; `python -m case_store.audit.catalogue --write` then brings docs/reference up to date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from case_store.audit.catalogue import answers, cases, content, installation, messages, people, tasks
from case_store.audit.catalogue.kinds import OTHER, Fact, Kind, Sense, kind
from case_store.audit.commitments import Personal, says_nothing
from case_store.errors import NotCatalogued

__all__ = ["AREAS", "Fact", "Kind", "add", "kind", "known", "require", "sense_of"]

AREAS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "Cases and stages": cases.KINDS,
    "Tasks and actions": tasks.KINDS,
    "Approvals, codes, links, replies": answers.KINDS,
    "Alerts, evidence, notes, erasure": content.KINDS,
    "People": people.KINDS,
    "Messages and channels": messages.KINDS,
    "The record, the engine, the installation": installation.KINDS,
}

_KNOWN: Final[dict[str, Kind]] = {}


def add(kinds: Iterable[Kind]) -> None:
    """Let further kinds be recorded in this process: tests and measurements have some of their own.

    Raises:
        ValueError: A kind of that name is there already.
    """
    for one in kinds:
        if one.type in _KNOWN:
            raise ValueError(f"{one.type} is in the catalogue already")
        _KNOWN[one.type] = one


def known() -> frozenset[str]:
    """Return the type of every kind."""
    return frozenset(_KNOWN)


def sense_of(event_type: str) -> Sense:
    """Return what kind of change a kind of event is and how it went; of one that is not here nobody knows."""
    found = _KNOWN.get(event_type)
    return OTHER.unknown if found is None else found.sense


def require(event_type: str, row: str | None, stream: str, facts: Mapping[str, object]) -> None:
    """Refuse an event that is not as the catalogue says.

    Args:
        event_type: Its type.
        row: The kind of row that it is about, None for none.
        stream: The stream that it goes to.
        facts: Its facts; what is personal is marked (`Personal`).

    Raises:
        NotCatalogued: Its type is unknown, it has an unknown fact, is about another kind of row, goes to another kind
            of stream, or a fact is personal and not marked as such, or the other way round, or marked as about a row
            that no erasure reaches.
    """
    found = _KNOWN.get(event_type)
    if found is None:
        raise NotCatalogued(f"{event_type!r} is no kind of event that the catalogue knows")
    if row not in found.about and (row is not None or found.about):
        raise NotCatalogued(f"{event_type} is about {_listed(found.about, 'no row')}, not {row or 'no row'}")
    if (of := stream.partition("/")[0]) not in found.streams:
        raise NotCatalogued(f"{event_type} goes to the stream of {_listed(found.streams)}, not {of}")
    for name, value in facts.items():
        if name not in found.facts:
            raise NotCatalogued(f"{event_type} has no fact {name!r}, but {_listed(found.facts)}")
        _require_marked(event_type, found.facts[name], value)


def _require_marked(event_type: str, fact: Fact, value: object) -> None:
    if isinstance(value, Personal):
        if fact.personal == "no":
            raise NotCatalogued(f"{event_type}: the fact {fact.name!r} is not personal, but marked so")
        if value.about[0] not in content.ERASED:
            raise NotCatalogued(f"{event_type}: {fact.name!r} is about a row of {value.about[0]}, which nothing erases")
    elif fact.personal == "yes" and not says_nothing(value):
        raise NotCatalogued(f"{event_type}: the fact {fact.name!r} is personal, but not marked so")


def _listed(names: Iterable[str], nothing: str = "none") -> str:
    return ", ".join(sorted(names)) or nothing


for _kinds in AREAS.values():
    add(_kinds)
