"""Writes the catalogue as a page for people: docs/reference/audit-events.md."""

from __future__ import annotations

from collections.abc import Iterator

from case_store.audit.catalogue import AREAS
from case_store.audit.catalogue.kinds import Fact, Kind

_HEAD = """\
# Audit events

Every kind of event that can be on record, and what its facts say. An event of another kind, or with another fact, is
refused. Written by `python -m case_store.audit.catalogue --write`; a test holds it against the code.

Each event also says who did it (`actor`), when (`ts`), about which row (`entity`), in which request (`request_id`) and
at which place of which stream (`stream`, `seq`, `prev`). `changes` holds each column of the row that changed, as it was
and as it is. A *personal* value is on record as a commitment; [erasing](../howto/erase.md) takes the value away.
Any fact may be null, or absent where there is nothing to say.
"""


def page() -> str:
    """Return the page, as Markdown."""
    return "\n".join([_HEAD, *_areas()])


def _areas() -> Iterator[str]:
    for area, kinds in AREAS.items():
        yield f"## {area}\n"
        for kind in kinds:
            yield from _kind(kind)


def _kind(kind: Kind) -> Iterator[str]:
    about = f"About a row: {_listed(kind.about)}." if kind.about else "About no row."
    yield f"### `{kind.type}`\n"
    yield f"{kind.meaning} {about} Stream: {_listed(kind.streams)}.\n"
    if kind.facts:
        yield "| fact | form | personal | meaning |"
        yield "|---|---|---|---|"
        yield from (_fact(fact) for fact in kind.facts.values())
        yield ""


def _fact(fact: Fact) -> str:
    return f"| `{fact.name}` | {fact.form} | {fact.personal} | {fact.meaning} |"


def _listed(names: frozenset[str]) -> str:
    *first, last = sorted(names)
    return f"{', '.join(first)} or {last}" if first else last
