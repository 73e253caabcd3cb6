"""Who did something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, Self

from case_store.errors import UnattributedChange

ActorKind = Literal["person", "system", "run"]


class _HasId(Protocol):
    id: str


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change: a person, a part of the system, or a flow run.

    `id` is the person's id, the name of the part (`relay`), or the id of the flow run.
    """

    kind: ActorKind
    id: str

    def __post_init__(self) -> None:
        if not self.id:
            raise UnattributedChange(f"an actor of kind {self.kind!r} has an empty id")

    @classmethod
    def person(cls, person: _HasId | str) -> Self:
        """Name a person, by the row or by its id."""
        return cls("person", person if isinstance(person, str) else person.id)

    @classmethod
    def system(cls, part: str) -> Self:
        """Name a part of the system that acts by itself."""
        return cls("system", part)

    @classmethod
    def run(cls, flow_run_id: object) -> Self:
        """Name the flow run that carries out a case."""
        return cls("run", str(flow_run_id))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read back what `str(actor)` wrote."""
        kind, _, name = text.partition(":")
        if kind == "person":
            return cls("person", name)
        if kind == "system":
            return cls("system", name)
        if kind == "run":
            return cls("run", name)
        raise UnattributedChange(f"{text!r} names no actor")

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"
