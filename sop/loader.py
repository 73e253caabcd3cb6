"""SOP files into SOPs: everything wrong with a file is said at once, with its line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path as File
from types import MappingProxyType

from sop.errors import Problem, SopRefused
from sop.gaps import NONE, Gaps
from sop.model import Sop
from sop.paths import Path, line_at
from sop.rules import broken_rules
from sop.salvage import Salvage, salvage
from sop.shape import empty_fields, shape
from sop.yaml_reader import content_of, read, unreadable

SUFFIXES = frozenset({".yaml", ".yml"})
BESIDE = frozenset({"roles", "calendars"})
"""Files that lie in a folder of SOPs and are none: what SOPs name."""


@dataclass(frozen=True)
class LoadedSop:
    """An SOP with the document it came from.

    `digest` is the SHA-256 of the document's bytes in hexadecimal; `source` is what messages call
    the document, mostly its path.
    """

    sop: Sop
    digest: str
    source: str
    text: str = field(repr=False)
    lines: Mapping[Path, int] = field(repr=False, compare=False, default_factory=lambda: MappingProxyType({}))
    gaps: Gaps = field(repr=False, compare=False, default=NONE)

    def line(self, *path: str | int) -> int:
        """Return the line of an element: `line("stages", 0, "tasks", 2, "when")`."""
        return line_at(self.lines, path)

    def problem(self, path: Path, message: str, next_step: str) -> Problem:
        """Return a problem with the element at this path."""
        return Problem(self.source, self.line(*path), message, next_step)


def load(path: File | str) -> LoadedSop:
    """Load an SOP from a file.

    Raises:
        SopRefused: the file cannot be read, or is not an SOP.
    """
    return _loaded(content_of(path), str(path))


def loads(text: str, source: str = "<sop>") -> LoadedSop:
    """Load an SOP from a text.

    Raises:
        SopRefused: the text is not an SOP.
    """
    return _loaded(text.encode("utf-8", "surrogatepass"), source)


def load_directory(paths: Iterable[File | str]) -> list[LoadedSop]:
    """Load every SOP of the directories, `*.yaml` and `*.yml` by name; `roles.yaml` and `calendars.yaml` are none.

    Raises:
        SopRefused: with the problems of all files, also two SOPs of one key.
    """
    loaded: list[LoadedSop] = []
    problems: list[Problem] = []
    for file in sop_files(paths):
        try:
            loaded.append(load(file))
        except SopRefused as refused:
            problems.extend(refused.problems)
    problems.extend(same_keys(loaded))
    if problems:
        raise SopRefused(problems)
    return loaded


def sop_files(paths: Iterable[File | str]) -> list[File]:
    """Return the SOP files of the directories, in the order of the directories and of their names.

    Raises:
        SopRefused: a directory is not there or cannot be read.
    """
    return [file for path in paths for file in _files(File(path)) if file.stem not in BESIDE]


def _files(directory: File) -> list[File]:
    try:
        return sorted(file for file in directory.iterdir() if file.suffix in SUFFIXES)
    except OSError as error:
        raise unreadable(str(directory), error, "Name a folder that exists and that you may read.") from error


def same_keys(loaded: Iterable[LoadedSop]) -> list[Problem]:
    """Return a problem for each SOP whose key an earlier one has."""
    first: dict[str, LoadedSop] = {}
    problems = []
    for one in loaded:
        other = first.setdefault(one.sop.key, one)
        if other is not one:
            step = f"Give one of the two another key; the first is {other.source}."
            problems.append(one.problem(("sop",), f"There are two SOPs with the key {one.sop.key!r}.", step))
    return problems


def _loaded(content: bytes, source: str) -> LoadedSop:
    text = _decoded(content, source)
    document = read(text.removeprefix("\ufeff"), source)
    sop, misshapen = shape(document)
    known = {path for path, _ in misshapen}
    misshapen += [(path, problem) for path, problem in empty_fields(document) if path not in known]
    if sop is not None and not document.problems and not misshapen:
        left: Salvage | None = Salvage(sop, NONE)
    else:
        left = salvage(document.data, [*document.spoiled, *(path for path, _ in misshapen)])
    problems = [*document.problems, *(problem for path, problem in misshapen if not document.is_spoiled(path))]
    if left is None:
        raise SopRefused(problems)
    loaded = LoadedSop(left.sop, sha256(content).hexdigest(), source, text, MappingProxyType(document.lines), left.gaps)
    problems += [
        loaded.problem(broken.path, broken.message, broken.next_step)
        for broken in broken_rules(left.sop, left.gaps)
        if not left.gaps.is_broken(broken.path)
    ]
    if problems:
        raise SopRefused(problems, loaded)
    return loaded


def _decoded(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        step = "Save the file as UTF-8."
        raise SopRefused([Problem(source, line, "The file is not UTF-8 text.", step)]) from None
