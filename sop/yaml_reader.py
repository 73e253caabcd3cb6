"""YAML 1.2 read the strict way: plain data, the line of each element, and no surprises.

Aliases, anchors, tags, duplicate keys, several documents and deep nesting are refused: an SOP is
read by people, who must see what it says where it says it. The events come from ruamel.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import TYPE_CHECKING, TypeAlias

from sop.errors import Problem, SopRefused
from sop.paths import Lines, Path, line_at
from sop.wording import shown
from sop.yaml_complaints import explain
from sop.yaml_scalars import BadScalar, Plain, resolve

if TYPE_CHECKING:
    from ruamel.yaml.events import Event

MAX_BYTES = 256 * 1024
MAX_DEPTH = 50

Data: TypeAlias = "Plain | list[Data] | dict[str, Data]"
"""What YAML holds once it is read: as JSON."""


@dataclass
class Document:
    """A document that was read: its data, the line of each element, and what is wrong so far.

    `spoiled` are the paths whose value is not what the author meant, so that nobody complains
    about the same place twice.
    """

    source: str
    data: Data = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    spoiled: set[Path] = field(default_factory=set)

    def line(self, path: Path) -> int:
        """Return the line of the element at this path."""
        return line_at(self.lines, path)

    def is_spoiled(self, path: Path) -> bool:
        """Say whether the element, or one around it, has been complained about."""
        return any(path[:length] in self.spoiled for length in range(len(path) + 1))


def content_of(path: File | str) -> bytes:
    """Return what is in a file that people write; a byte order mark is still in it.

    Raises:
        SopRefused: It cannot be read, or is too large to have been written by people.
    """
    source = str(path)
    try:
        with File(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise unreadable(source, error, "Name a file that exists and that you may read.") from error
    if len(content) > MAX_BYTES:
        raise SopRefused([too_large(source)])
    return content


def unreadable(source: str, error: OSError, next_step: str) -> SopRefused:
    """Say that a file or folder cannot be read."""
    return SopRefused([Problem(source, 1, f"This cannot be read: {error.strerror or error}.", next_step)])


def read(text: str, source: str) -> Document:
    """Read a YAML document.

    Raises:
        SopRefused: the text is not one YAML document that can be read at all. What is wrong
            with single elements is in `Document.problems` instead.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - costs a tenth of the start-up time
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    _refuse_size(text, source)
    document, lines = Document(source), Lines(text)
    try:
        _Builder(document, lines, YAML(typ="safe", pure=True).parse(text)).build()
    except YAMLError as error:
        raise SopRefused([*document.problems, explain(error, lines, source)]) from None
    return document


def _refuse_size(text: str, source: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise SopRefused([too_large(source)])


def too_large(source: str) -> Problem:
    """Say that a file is larger than an SOP may be."""
    return Problem(
        source, 1, f"The file is larger than {MAX_BYTES // 1024} KiB.", "Move long texts to your wiki and link to them."
    )


class _Builder:
    """Turns the parser's events into data, noting every problem on the way."""

    def __init__(self, document: Document, lines: Lines, events: Iterator[Event]) -> None:
        self.document = document
        self.lines = lines
        self.events = events

    def build(self) -> None:
        next(self.events)  # the stream starts
        start = next(self.events)
        if _name(start) == "StreamEnd":
            raise SopRefused([Problem(self.document.source, 1, "The file is empty.", "Start with `sop: KEY`.")])
        if getattr(start, "version", None) not in (None, (1, 2)):
            self.problem(self.line(start), "SOPs are written in YAML 1.2.", "Remove the %YAML line.")
        self.document.data = self.value(next(self.events), ())
        next(self.events)  # the document ends
        after = next(self.events)
        if _name(after) != "StreamEnd":
            self.problem(self.line(after), "A second document begins.", "Keep one SOP in each file; remove the `---`.")

    def line(self, event: Event) -> int:
        return self.lines.of(event.start_mark.index)

    def problem(self, line: int, message: str, next_step: str, spoiled: Path | None = None) -> None:
        self.document.problems.append(Problem(self.document.source, line, message, next_step))
        if spoiled is not None:
            self.document.spoiled.add(spoiled)

    def value(self, event: Event, path: Path) -> Data:
        self.document.lines.setdefault(path, self.line(event))
        self.refuse_sharing(event, path)
        kind = _name(event)
        if kind == "Scalar":
            return self.scalar(event, path)
        if kind == "SequenceStart":
            return self.sequence(event, path)
        return self.mapping(event, path) if kind == "MappingStart" else None

    def refuse_sharing(self, event: Event, path: Path) -> None:
        """Refuse anchors, aliases and tags."""
        line, anchor = self.line(event), getattr(event, "anchor", None)
        if _name(event) == "Alias":
            step = "Write the value out here; if the text begins with *, put it in quotes."
            self.problem(line, f"The alias *{shown(anchor)} is not allowed in an SOP.", step, path)
        elif anchor is not None:
            step = "Remove it and write values out where they are used; if the text begins with &, put it in quotes."
            self.problem(line, f"The anchor &{shown(anchor)} is not allowed in an SOP.", step, path)
        if (given := getattr(event, "tag", None)) is not None:
            tag = shown(given).removeprefix("tag:yaml.org,2002:")
            step = "Remove it; if the text begins with !, put it in quotes."
            self.problem(line, f"The tag !{tag.lstrip('!')} is not allowed in an SOP.", step, path)

    def scalar(self, event: Event, path: Path) -> Plain:
        text, plain = _text(event)
        if not plain:
            return text
        try:
            return resolve(text)
        except BadScalar as error:
            self.problem(self.line(event), f"{error}.", f'If it is text, put it in quotes: "{shown(text)}".', path)
            return text

    def sequence(self, event: Event, path: Path) -> list[Data]:
        self.refuse_depth(event, path)
        items: list[Data] = []
        while _name(entry := next(self.events)) != "SequenceEnd":
            items.append(self.value(entry, (*path, len(items))))
        return items

    def mapping(self, event: Event, path: Path) -> dict[str, Data]:
        self.refuse_depth(event, path)
        fields: dict[str, Data] = {}
        while _name(entry := next(self.events)) != "MappingEnd":
            name = self.key(entry, path)
            if name is None or name in fields or name == "<<":
                self.refuse_key(entry, name, path)
                self.skip_value(path)
                continue
            self.document.lines[(*path, name)] = self.line(entry)
            fields[name] = self.value(next(self.events), (*path, name))
        return fields

    def key(self, event: Event, path: Path) -> str | None:
        """Return the field's name, or None when it is not text."""
        if _name(event) != "Scalar":
            self.value(event, (*path, "?"))
            return None
        self.refuse_sharing(event, path)
        return _text(event)[0] if isinstance(self.scalar(event, path), str) else None

    def refuse_key(self, event: Event, name: str | None, path: Path) -> None:
        if name is None and _name(event) != "Scalar":
            step = "If it is text, put it in quotes; an expression needs no {{ … }}: tasks.KEY.FIELD."
            self.problem(self.line(event), "A { … } or [ … ] stands where a field's name belongs.", step, path)
        elif name is None:
            said = shown(_text(event)[0])
            self.problem(self.line(event), f"{said} is not a field's name: names are text.", f'Write "{said}".', path)
        elif name == "<<":
            self.problem(self.line(event), "Merging with << is not allowed in an SOP.", "Write the fields out.", path)
        else:
            first = self.document.lines[(*path, name)]
            step = f"Remove one of the two; the first is on line {first}."
            self.problem(self.line(event), f"The field {shown(name)!r} is there twice.", step)

    def skip_value(self, path: Path) -> None:
        """Read the value of a refused key, for its own problems only."""
        self.value(next(self.events), (*path, "?"))

    def refuse_depth(self, event: Event, path: Path) -> None:
        if len(path) >= MAX_DEPTH:
            message = f"The nesting is deeper than {MAX_DEPTH} levels."
            here = Problem(self.document.source, self.line(event), message, "An SOP needs about eight; close brackets.")
            raise SopRefused([*self.document.problems, here])


def _name(event: Event) -> str:
    return type(event).__name__.removesuffix("Event")


def _text(event: Event) -> tuple[str, bool]:
    """Return a scalar's text, and whether it is plain: not quoted and not a block."""
    implicit = getattr(event, "implicit", False)
    return str(getattr(event, "value", "")), bool(isinstance(implicit, tuple) and implicit[0])
