"""The action `observables.extract`."""

import asyncio
import re
from collections import Counter

from flows.actions.contract import ActionContext, Result, action

_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")


@action(name="observables.extract", idempotent=True, title="Extract observables")
async def extract(context: ActionContext, evidence: str | None = None) -> Result:
    """Find addresses, domains, URLs, e-mail addresses and hashes in the evidence of the case."""
    pieces = [await context.evidence(evidence)] if evidence else await context.evidence_list()
    found: dict[tuple[str, str], None] = {}
    for piece in pieces:
        content = await context.read(piece.id)
        found |= await asyncio.to_thread(_found, content)
    counts = Counter(kind for kind, _ in found)
    return Result(fields={"counts": dict(counts), "total": len(found)}, observables=list(found))


def _found(content: bytes) -> dict[tuple[str, str], None]:
    return {("ip", one): None for one in _IP.findall(content.decode(errors="replace"))}
