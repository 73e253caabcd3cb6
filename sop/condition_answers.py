"""Comparisons of a form's answer with something that it can never be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sop.cel_text import CelText, Reference
from sop.model import FormField, Task
from sop.vocabulary import TASK_STATES
from sop.wording import did_you_mean, shown

_PARTS = 3  # tasks, KEY, FIELD

Complaint = tuple[str, str]


def comparisons(cel: CelText, tasks: Mapping[str, Task], *, asks: bool) -> Iterator[Complaint]:
    """Yield a complaint for each comparison that has the same answer whatever people say.

    The expression `asks` when its answer must be true or false.
    """
    for reference in cel.references:
        if len(reference.path) != _PARTS or reference.path[0] != "tasks" or reference.path[1] not in tasks:
            continue
        task, name = tasks[reference.path[1]], reference.path[2]
        field = (task.form or {}).get(name)
        if name == "state":
            yield from _state(cel, reference)
        elif field is not None:
            yield from _answer(cel, reference, field)
            yield from _alone(cel, reference, field, asks=asks)


def _state(cel: CelText, reference: Reference) -> Iterator[Complaint]:
    for said in (*_equals(cel, reference), *_listed(cel, reference)):
        if said not in TASK_STATES:
            yield f"A task is never in the state {shown(said)!r}.", did_you_mean(said, TASK_STATES, "states")


def _answer(cel: CelText, reference: Reference, field: FormField) -> Iterator[Complaint]:
    if field.type == "multichoice":
        yield from _several(cel, reference, field)
        return
    for said in (*_equals(cel, reference), *_listed(cel, reference)):
        if field.type == "choice" and said not in field.options:
            yield _no_option(reference, field, said)
        elif field.type == "yesno":
            yield f"{reference} is true or false, never {shown(said)!r}.", f"Write {reference} == true, or == false."
        elif field.type == "number":
            yield f"{reference} is a number, never the text {shown(said)!r}.", "Write the number without quotes."


def _several(cel: CelText, reference: Reference, field: FormField) -> Iterator[Complaint]:
    for said in _equals(cel, reference):
        step = f"Write '{shown(said)}' in {reference}."
        yield f"{reference} is a list of answers, never {shown(said)!r} alone.", step
    said_in = cel.literal(reference.first - 2) if _word(cel, reference.first - 1, "in") else None
    if said_in is not None and said_in not in field.options:
        yield _no_option(reference, field, said_in)


def _alone(cel: CelText, reference: Reference, field: FormField, *, asks: bool) -> Iterator[Complaint]:
    """Find an answer that is the whole expression, or a whole side of && or ||, and not a yes or no."""
    before, after = reference.first - 1, reference.last + 1
    opens = before < 0 or any(cel.is_sign(before, sign) for sign in ("&&", "||", "!"))
    closes = after == len(cel.tokens) or any(cel.is_sign(after, sign) for sign in ("&&", "||"))
    joined = any(cel.is_sign(place, sign) for place in (before, after) for sign in ("&&", "||", "!"))
    if field.type != "yesno" and opens and closes and (joined or asks):
        yield f"{reference} is neither true nor false.", f"Compare it: {reference} == …"


def _no_option(reference: Reference, field: FormField, said: str) -> Complaint:
    return f"{shown(said)!r} is not among the options of {reference}.", did_you_mean(said, field.options, "options")


def _equals(cel: CelText, reference: Reference) -> Iterator[str]:
    """Yield the text that the value is compared with, on either side."""
    for sign, text in ((reference.last + 1, reference.last + 2), (reference.first - 1, reference.first - 2)):
        said = cel.literal(text)
        if said is not None and (cel.is_sign(sign, "==") or cel.is_sign(sign, "!=")):
            yield said


def _listed(cel: CelText, reference: Reference) -> Iterator[str]:
    """Yield the texts of `value in ['a', 'b']`."""
    if not _word(cel, reference.last + 1, "in") or not cel.is_sign(reference.last + 2, "["):
        return
    index = reference.last + 3
    while (said := cel.literal(index)) is not None:
        yield said
        index += 2


def _word(cel: CelText, index: int, word: str) -> bool:
    return 0 <= index < len(cel.tokens) and cel.tokens[index].text == word
