"""SOP files into SOPs: everything wrong with a file is said at once, with its line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path as File
from types import MappingProxyType

from sop.errors import Problem, SopRefused
from sop.model import Sop
from sop.paths import Path, line_at
from sop.rules import broken_rules
from sop.shape import shape
from sop.yaml_reader import MAX_BYTES, Document, read, too_large


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
    source = str(path)
    try:
        with File(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        step = "Name a file that exists and that you may read."
        raise SopRefused([Problem(source, 1, f"The file cannot be read: {reason}.", step)]) from error
    if len(content) > MAX_BYTES:
        raise SopRefused([too_large(source)])
    return _loaded(content, source)


def loads(text: str, source: str = "<sop>") -> LoadedSop:
    """Load an SOP from a text.

    Raises:
        SopRefused: the text is not an SOP.
    """
    return _loaded(text.encode("utf-8", "surrogatepass"), source)


def load_directory(paths: Iterable[File | str]) -> list[LoadedSop]:
    """Load every SOP of the directories, `*.yaml` by name; `roles.yaml` is not one.

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
    """Return the SOP files of the directories, in the order of the directories and of their names."""
    found = (sorted(File(path).glob("*.yaml")) for path in paths)
    return [file for files in found for file in files if file.name != "roles.yaml"]


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
    document = read(text, source)
    sop, misshapen = shape(document)
    problems = [*document.problems, *(problem for path, problem in misshapen if not _spoiled(path, document))]
    if sop is not None:
        problems += [
            Problem(source, document.line(broken.path), broken.message, broken.next_step)
            for broken in broken_rules(sop)
        ]
    if problems or sop is None:
        raise SopRefused(problems)
    return LoadedSop(sop, sha256(content).hexdigest(), source, text, MappingProxyType(document.lines))


def _decoded(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        step = "Save the file as UTF-8."
        raise SopRefused([Problem(source, line, "The file is not UTF-8 text.", step)]) from None


def _spoiled(path: Path, document: Document) -> bool:
    return any(path[:length] in document.spoiled for length in range(1, len(path) + 1)) or path in document.spoiled
