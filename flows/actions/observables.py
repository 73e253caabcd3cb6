"""The action `observables.extract`."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from typing import Final

from flows.actions import parameters
from flows.actions.contract import MAX_READ, ActionContext, ActionFailed, Attachment, EvidenceFacts, Result, action
from flows.actions.extraction import TYPES, Found, Observable, search

MAX_ADDED: Final = 1_000

_LONGEST_TEXT: Final = 1_000_000
_LONGEST_VALUE: Final = 4_096


@action(name="observables.extract", idempotent=True, title="Extract observables")
async def extract(
    context: ActionContext, evidence: str | Sequence[str] | None = None, text: str | None = None
) -> Result:
    """Find addresses, domains, URLs, e-mail addresses and hashes, and add them to the case.

    Types: `ip`, `internal_ip` (private and link-local ones), `domain`, `url`, `email`, `md5`, `sha1`, `sha256`.
    Fields: `total`, `counts` by type, `complete` (false when something was left out; a note says what).

    Args:
        context: The context.
        evidence: Id or name of the evidence to read, or a list of them; without it all evidence of the case.
        text: A text to read instead, such as a value of a form.
    """
    notes: list[str] = []
    found = Found((), complete=True)
    if text is not None:
        words = parameters.text(text, "text")
        if len(words) > _LONGEST_TEXT:
            raise ActionFailed(f"the text has {len(words)} characters", next_step="attach it to the case as a file")
        found = await asyncio.to_thread(search, [(words.encode(errors="replace"), "", "text/plain")])
    else:
        for facts in await _wanted(context, evidence):
            one = await _searched(context, facts, notes)
            found = Found(tuple(dict.fromkeys([*found.items, *one.items])), found.complete and one.complete)
    return _result(found, notes)


async def _wanted(context: ActionContext, evidence: str | Sequence[str] | None) -> list[EvidenceFacts]:
    if evidence is None:
        return await context.evidence_list()
    names = [evidence] if isinstance(evidence, str) else evidence
    if not names:
        step = "pass the id of a piece of evidence, a list of ids, or nothing for all"
        raise ActionFailed("the parameter 'evidence' is an empty list", next_step=step)
    return [await parameters.evidence(context, name) for name in names]


async def _searched(context: ActionContext, facts: EvidenceFacts, notes: list[str]) -> Found:
    """Search one piece; it is in memory only meanwhile."""
    if facts.size > MAX_READ:
        notes.append(
            f"Evidence {facts.id} has {facts.size} bytes and was not searched for observables; "
            f"at most {MAX_READ // 1024 // 1024} MiB are. Attach the part that matters as a file of its own."
        )
        return Found((), complete=False)
    content = await context.read(facts.id, MAX_READ)
    found = await asyncio.to_thread(search, [(content, facts.name, facts.media_type)])
    if not found.complete:
        notes.append(f"Evidence {facts.id} was searched for observables only in part: it holds too much.")
    return found


def _result(found: Found, notes: list[str]) -> Result:
    items = [item for item in found.items if len(item[1]) <= _LONGEST_VALUE]
    counts = Counter(kind for kind, _ in items)
    evidence = []
    if len(items) > MAX_ADDED:
        notes.append(f"{len(items)} observables were found: the first {MAX_ADDED} were added, all are in the file.")
        evidence.append(Attachment("observables.jsonl", _lines(items), "application/json"))
    return Result(
        fields={
            "total": len(items),
            "counts": {kind: counts[kind] for kind in TYPES if counts[kind]},
            "complete": found.complete and len(items) <= MAX_ADDED,
        },
        evidence=evidence,
        observables=items[:MAX_ADDED],
        notes=notes,
    )


def _lines(items: Sequence[Observable]) -> bytes:
    # Not CSV: an address may begin with `+`, which a spreadsheet takes for a formula.
    return "".join(json.dumps({"type": kind, "value": value}) + "\n" for kind, value in items).encode()
