"""Events about what a case holds: alerts, evidence, observables, notes; and about what was erased."""

from __future__ import annotations

from typing import Final

from case_store.audit.catalogue.kinds import COUNT, CREATE, DELETE, FLAG, LIST, SHA256, TEXT, UPDATE, Fact, Kind, kind

_BYTES: Final = Fact("sha256", SHA256, "The hash of the bytes as they came.")
_EITHER: Final = ("case", "system")

ERASED: Final = (
    "alert",
    "answer_link",
    "approval",
    "case",
    "deadline",
    "evidence",
    "execution",
    "note",
    "observable",
    "person",
    "task",
)
"""Kinds of row that some erasure reaches; only about these may anything personal be recorded."""

KINDS: Final[tuple[Kind, ...]] = (
    kind("alert.received", CREATE, "An alert came in for the first time.", about="alert", streams="system"),
    kind(
        "alert.raw_kept",
        UPDATE,
        "The bytes of an alert were kept as evidence.",
        _BYTES,
        about="alert",
        streams="system",
    ),
    kind("alert.repeated", UPDATE, "An alert that is known came in again.", _BYTES, about="alert", streams=_EITHER),
    kind("alert.linked", UPDATE, "An alert became part of a case.", about="alert"),
    kind(
        "evidence.attached",
        CREATE,
        "Evidence was added.",
        Fact("name_as_given", TEXT, "Its name as it came, where it is kept under another.", personal="yes"),
        Fact("type_differs_from_claim", FLAG, "Its bytes are of another media type than it was said to have."),
        about="evidence",
        streams=_EITHER,
    ),
    kind(
        "evidence.linked",
        UPDATE,
        "The evidence of an alert became evidence of the alert's case.",
        Fact("name", TEXT, "Its name.", personal="yes"),
        Fact("sha256", SHA256, "The hash of its bytes."),
        about="evidence",
    ),
    kind("observable.added", CREATE, "An observable was noted.", about="observable"),
    kind("note.added", CREATE, "A note was written.", about="note"),
    kind("note.revised", UPDATE, "A note got other words; the earlier ones are kept.", about="note"),
    kind(
        "privacy.erased",
        DELETE,
        "Personal values of a row were erased, in its table and in all events.",
        Fact("basis", TEXT, "The ground on which it was done."),
        Fact("ticket", TEXT, "Where it was asked for."),
        Fact("disclosures", COUNT, "How many values in events were erased."),
        Fact("pointers", LIST, "Where in the events they stood (JSON pointers)."),
        Fact("sha256", SHA256, "The hash of the bytes, where evidence was erased."),
        about=ERASED,
        streams=("case", "person", "system"),
    ),
    kind(
        "privacy.pseudonymised", UPDATE, "A pseudonym took the place of the person who had signed a task.", about="task"
    ),
)
