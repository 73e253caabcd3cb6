"""Statements with which one key of the log names the next.

A statement is a signed note (C2SP `signed-note`) of five lines, signed by the key that goes and by the one that comes:

    casewright-key-change/1
    casewright.example/audit
    2026-11-24T10:00:00.000000Z
    casewright.example/audit+1a2b3c4d+AQ...
    casewright.example/audit+5e6f7a8b+AQ...

the log, the time, the old key, the new key. No checkpoint looks like it: where that has its size, this has a name.
Statements in a file stand one after another, with a blank line between them.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from case_store.audit.checkpoints import NoteRefused, Signer, VerifierKey, body_of, opened
from case_store.audit.events import rfc3339

FORMAT: Final = "casewright-key-change/1"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What a statement says."""

    at: str
    old: VerifierKey
    new: VerifierKey

    def text(self) -> str:
        """Return the text that is signed."""
        return f"{FORMAT}\n{self.old.name}\n{self.at}\n{self.old}\n{self.new}\n"

    @classmethod
    def parse(cls, note: str) -> Self:
        """Read a statement that both keys have signed.

        Raises:
            NoteRefused: It is none, or one of them has not.
        """
        lines = body_of(note).split("\n")
        if len(lines) != 6 or lines[0] != FORMAT:  # noqa: PLR2004 - five and the end
            raise NoteRefused("this is no statement about a new key")
        change = cls(lines[2], VerifierKey.parse(lines[3]), VerifierKey.parse(lines[4]))
        if not lines[1] == change.old.name == change.new.name:
            raise NoteRefused("the statement names a key of another log")
        for key in (change.old, change.new):
            opened(note, key)
        return change


def state(old: Signer, new: Signer, at: datetime) -> str:
    """Return the statement that names the new key, signed by both.

    Raises:
        NoteRefused: The keys sign under different names.
    """
    if old.name != new.name:
        raise NoteRefused(f"{new.name} does not come after {old.name}")
    text = KeyChange(rfc3339(at), old.verifier(), new.verifier()).text()
    return old.sign(text) + new.sign(text).removeprefix(f"{text}\n")


def linked(statements: Iterable[str], trusted: VerifierKey) -> list[VerifierKey]:
    """Return the keys that statements link to one that is trusted, itself included, the oldest first.

    The ones after it are named by it; the ones before it are vouched for by the key that came after them. A statement
    that is none links nothing.
    """
    changes = []
    for note in statements:
        with suppress(NoteRefused):
            changes.append(KeyChange.parse(note))
    found = [trusted]
    for change in changes:
        if change.old == found[-1]:
            found.append(change.new)
    for change in reversed(changes):
        if change.new == found[0]:
            found.insert(0, change.old)
    return found


def joined(statements: Iterable[str]) -> str:
    """Return statements as a file holds them."""
    return "\n".join(statements)
