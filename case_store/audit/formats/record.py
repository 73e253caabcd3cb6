"""What a format is given, and what it has to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from case_store.audit.merkle import leaf_hash


@dataclass(frozen=True, slots=True)
class Names:
    """What people say instead of ids: handles by the ids of people, numbers by the ids of cases. Both may be empty."""

    handles: Mapping[str, str] = field(default_factory=dict)
    cases: Mapping[str, int] = field(default_factory=dict)

    def actor(self, kind: str, actor_id: str) -> str:
        """Name who did it: a handle, else `kind:id`."""
        if kind == "person" and actor_id in self.handles:
            return self.handles[actor_id]
        return f"{kind}:{actor_id}"

    def stream(self, stream: str) -> str:
        """Name a stream: `CASE-12`, `person ana`, `system`; as it is where no name is known."""
        kind, _, entity = stream.partition("/")
        if kind == "case" and entity in self.cases:
            return f"CASE-{self.cases[entity]}"
        if kind == "person" and entity in self.handles:
            return f"person {self.handles[entity]}"
        return stream


@dataclass(frozen=True, kw_only=True)
class Record:
    """One event on its way out.

    `body` is its canonical JSON, byte for byte. `leaf` is its leaf hash in hexadecimal; `idx` its place in the tree,
    None while it is not sealed. `disclosed` is the body with the personal values that may be shown, None to show none.
    """

    body: str
    leaf: str
    idx: int | None = None
    names: Names = field(default_factory=Names)
    disclosed: Mapping[str, Any] | None = None

    @classmethod
    def of(
        cls,
        body: str,
        leaf: bytes | None = None,
        idx: int | None = None,
        names: Names | None = None,
        disclosed: Mapping[str, Any] | None = None,
    ) -> Self:
        """Take an event as the case store keeps it; events of schema version 1 come without a leaf hash."""
        found = (leaf or leaf_hash(body.encode())).hex()
        return cls(body=body, leaf=found, idx=idx, names=names or Names(), disclosed=disclosed)

    @cached_property
    def event(self) -> Mapping[str, Any]:
        """The body, parsed when it is asked for: JSON Lines do not need it."""
        parsed: Mapping[str, Any] = json.loads(self.body) if self.disclosed is None else self.disclosed
        return parsed

    @property
    def type(self) -> str:
        """What happened: `case.opened`."""
        return str(self.event["type"])

    @property
    def actor_name(self) -> str:
        """Who did it, as people say it."""
        actor = self.event["actor"]
        return self.names.actor(actor["kind"], actor["id"])

    @property
    def stream_name(self) -> str:
        """Of what it tells, as people say it."""
        return self.names.stream(self.event["stream"])

    def after(self, column: str) -> Any:  # noqa: ANN401 - whatever JSON the column holds
        """Return what the event made of a column; None too where it does not tell of it."""
        before_and_after = self.event["changes"].get(column)
        return before_and_after[1] if before_and_after else None

    def fact(self, name: str) -> Any:  # noqa: ANN401
        """Return a fact of the event; None too where it has no such fact."""
        return self.event["facts"].get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to write events. It keeps no state: the same record always gives the same line.

    Attributes:
        name: What people call it: `jsonl`, `cef`.
        suffix: How a file of it ends: `.jsonl`.
        line: Returns the event as one line, without a line end; nothing where the format has no place for it.
        begin: Returns what a file starts with, line end included, or nothing.
        end: Returns what a file ends with, line end included, or nothing.
        line_end: What a file has between lines.
        lines_stand_alone: Whether a line means something without `begin` and `end`.
    """

    name: str
    suffix: str
    line: Callable[[Record], str]
    begin: Callable[[], str] = str  # nothing
    end: Callable[[], str] = str
    line_end: str = "\n"
    lines_stand_alone: bool = True
