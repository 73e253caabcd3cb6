"""How text from outside becomes text on record. Pure."""

from __future__ import annotations

from case_store.clean import clean_text
from case_store.refusals import TextRequired

MAX_TITLE = 300
MAX_TEXT = 50_000


def one_line(text: str) -> str:
    """Make one printable line: no control or direction-changing characters, single blanks."""
    return " ".join("".join(char if char.isprintable() else " " for char in clean_text(text)).split())


def title(text: str) -> str:
    """Return a title as it is kept: one line, cut visibly when it is too long.

    Raises:
        TextRequired: Nothing printable is in it.
    """
    line = one_line(text)
    if not line:
        raise TextRequired("the title is empty")
    return line if len(line) <= MAX_TITLE else line[: MAX_TITLE - 1] + "…"


def words(text: str | None, what: str) -> str:
    """Return what a person wrote, as it is kept.

    Raises:
        TextRequired: It is empty or longer than 50,000 characters.
    """
    kept = clean_text(text or "").replace("\r\n", "\n").strip()
    if not kept:
        raise TextRequired(f"{what} is empty")
    if len(kept) > MAX_TEXT:
        raise TextRequired(
            f"{what} has {len(kept)} characters; at most {MAX_TEXT} are kept",
            next_step="attach the long text as evidence and say here what is in it",
        )
    return kept
