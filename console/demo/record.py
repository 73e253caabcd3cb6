"""Reads an exported record again, from nothing but the file, and checks that it tells a whole story."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from case_store.audit.commitments import digest_in
from console.errors import DemoFailed

_NEXT = "Look at the line in the export; if the line is right, the check of the demonstration is wrong: report it."


@dataclass
class Story:
    """What the record says: how many events, by whom, and every row as the events leave it."""

    events: int = 0
    by_people: int = 0
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def row_of(self, kind: str) -> dict[str, Any]:
        """Return the only row of a kind (the demonstration has one case)."""
        (row,) = [row for name, row in self.rows.items() if name.startswith(f"{kind}:")]
        return row


def read(lines: Iterable[str]) -> Story:
    """Fold an export into the state it describes.

    Every event names its author and its time; the versions of a row follow one another from 1 without a gap; and each
    change begins where the one before it ended.

    Raises:
        DemoFailed: One of these is not so.
    """
    story = Story()
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        event = json.loads(line)
        if not (event["actor"]["kind"] and event["actor"]["id"] and event["ts"] and event["request_id"]):
            raise _wrong(number, "has no author, time or request")
        if event["event_id"] in seen:
            raise _wrong(number, "is there twice")
        seen.add(event["event_id"])
        story.events += 1
        story.by_people += event["actor"]["kind"] == "person"
        _apply(story, number, event)
    return story


def _apply(story: Story, number: int, event: dict[str, Any]) -> None:
    entity = event["entity"]
    if entity is None or entity["version"] is None:
        return
    name = f"{entity['type']}:{entity['id']}"
    if entity["version"] != story.versions.get(name, 0) + 1:
        raise _wrong(number, f"makes version {entity['version']} of {name}, after {story.versions.get(name, 0)}")
    story.versions[name] = entity["version"]
    row = story.rows.setdefault(name, {})
    for column, (before, after) in event["changes"].items():
        if not _the_same(row.get(column), before):
            raise _wrong(number, f"changes {column} of {name} from {before!r}, but it was {row.get(column)!r}")
        row[column] = after


def _the_same(one: object, other: object) -> bool:
    """Tell whether two values of a file are the same; of two withheld ones, each with its own salt, nobody can tell."""
    return one == other or (digest_in(one) is not None and digest_in(other) is not None)


def _wrong(number: int, what: str) -> DemoFailed:
    return DemoFailed(f"the exported record does not hold together: line {number} {what}", next_step=_NEXT)
