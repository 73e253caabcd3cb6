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

Nobody logs in to Casewright: at the command line people say who they are, in the Prefect UI they say who signs. What
stands for log-ins is on record as `answer_link.opened`, `answer_link.used`, `answer_link.refused` and
`answer_link.unknown` (who came by a link), and as `code.sent`, `code.verified`, `code.wrong` and `code.refused` (who
showed that a code was sent to them). Visits to links are counted by the hour, so that a scanner does not fill the
record. `case.read` and `access.refused` say who looked at a restricted case and who may not. SIEMs get links and
codes as authentication, failures as failures.

*Change* and *outcome* are what other formats say of a kind; where the event itself knows better (`run.state`,
`execution.ended`, `notification.tested`, `deadline.met`) they say that.
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
    sense = f"Change: {kind.sense.change}, outcome: {kind.sense.outcome}."
    yield f"{kind.meaning} {about} Stream: {_listed(kind.streams)}. {sense}\n"
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
