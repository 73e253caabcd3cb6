"""Which messages there are, what facts each has, and where its templates lie.

Facts of all messages: `recipient` ({"name", "time_zone"}), `link` (where people decide), `for_another` (true when
somebody else could not be reached), and `can_reply` (true when answers to this mail are read). Beyond these:

    assigned, overdue, warning   case {"number", "title", "severity"}; task {"title", "stage"}, and "role" when it is
                                 asked of everybody with that role; due (ISO 8601 with offset, or None)
    escalated                    the same, and rung (its number), after, late_by (texts), missed (numbers of rungs that
                                 were not told in time)
    hidden                       case {"number"}; about (the message it stands for); due
    digest                       digest {"count", "cases": [{"number", "messages"}], "more"}
    alarm                        alarm {"about": "message" or "channel", "channel", "template"}, and "case" (a number)
    checkpoint                   checkpoint {"at", "size", "lines"}
    code                         code {"digits", "minutes"}; case {"number"}; task {"title"}
    reply                        reply {"about": what became of an answer}; case {"number"}
    test                         nothing more
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from notifiers.errors import RenderRefused
from notifiers.sandbox import HTML, LONGEST_SOURCE, PARTS, problems

_EVERYWHERE: Final = frozenset({"recipient", "link", "for_another", "can_reply"})
_ABOUT_A_TASK: Final = _EVERYWHERE | {"case", "task", "due"}

FACTS: Final[dict[str, frozenset[str]]] = {
    "assigned": _ABOUT_A_TASK,
    "overdue": _ABOUT_A_TASK,
    "warning": _ABOUT_A_TASK,
    "escalated": _ABOUT_A_TASK | {"rung", "after", "late_by", "missed"},
    "hidden": _EVERYWHERE | {"case", "about", "due"},
    "digest": _EVERYWHERE | {"digest"},
    "alarm": _EVERYWHERE | {"alarm"},
    "checkpoint": _EVERYWHERE | {"checkpoint"},
    "code": _EVERYWHERE | {"code", "case", "task"},
    "reply": _EVERYWHERE | {"reply", "case"},
    "test": _EVERYWHERE,
}
"""The facts that a template may name, by message."""

LANGUAGES: Final = ("en", "de")
_FALLBACK: Final = "en"
_HERE: Final = files("notifiers") / "templates"


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one part; `own` when the installation wrote it, and `name` says where it is."""

    name: str
    text: str
    own: bool


def languages_for(language: str | None) -> list[str]:
    """Return the languages to look for templates in: de-CH, de, en."""
    wanted = [language, language.partition("-")[0]] if language else []
    return list(dict.fromkeys([*wanted, _FALLBACK]))


def sources(template: str, language: str | None, own: Path | None) -> dict[str, Source]:
    """Return the parts of a message in the first language that has it; own parts stand in place of ours.

    Raises:
        RenderRefused: There is no such message, or a file of the installation cannot be read.
    """
    if template not in FACTS:
        raise RenderRefused(
            f"there is no message template {template!r}", next_step=f"Use one of: {', '.join(sorted(FACTS))}."
        )
    for tongue in languages_for(language):
        mine = _read(own, tongue, template) if own else {}
        if mine and HTML not in mine and "text.txt" in mine:
            # A text of one's own with our HTML would say two things; the HTML is then made of the text.
            return {part: one for part, one in (_shipped(tongue, template) | mine).items() if part != HTML}
        if found := _shipped(tongue, template) | mine:
            return found
    raise RenderRefused(f"the message template {template!r} is missing")


def check(own: Path) -> Iterator[str]:
    """Yield everything that is wrong with the templates of an installation, file by file."""
    for folder in sorted(own.glob("*/*")):
        if not folder.is_dir():
            continue
        known = FACTS.get(folder.name)
        if known is None:
            yield f"{folder}: there is no message {folder.name!r}; there are {', '.join(sorted(FACTS))}"
            continue
        for file in sorted(folder.iterdir()):
            yield from _wrong(file, known)


def _wrong(file: Path, known: frozenset[str]) -> Iterator[str]:
    if file.name not in PARTS:
        yield f"{file}: a message has no such part; there are {', '.join(PARTS)}"
        return
    try:
        yield from problems(str(file), _text_of(file), file.name, known)
    except RenderRefused as error:
        yield str(error)


@cache
def _shipped(language: str, template: str) -> dict[str, Source]:
    if language not in LANGUAGES:
        return {}
    folder = _HERE / language / template
    return {
        part: Source(f"{template}/{part}", _shipped_text(folder / part), own=False)
        for part in PARTS
        if (folder / part).is_file()
    }


def _shipped_text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")


def _read(own: Path, language: str, template: str) -> dict[str, Source]:
    folder = own / language / template
    return {
        part: Source(str(folder / part), _text_of(folder / part), own=True) for part in PARTS if _is_there(folder, part)
    }


def _is_there(folder: Path, part: str) -> bool:
    try:
        return (folder / part).is_file()
    except OSError as error:
        step = f"Let the user of the relay read the folder, such as: chmod -R u+rX {folder.parents[1]}"
        raise RenderRefused(f"{folder}: it cannot be looked into: {error.strerror}", next_step=step) from error


def _text_of(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return content.read(4 * LONGEST_SOURCE + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RenderRefused(f"{file}: it cannot be read: {error}", next_step="Write it as UTF-8.") from error
