"""The context that the authors of actions test with behaves like the engine's."""

import pytest

from flows.actions.contract import ActionContext, ActionFailed, Result, action
from flows.actions.testing import MemoryContext, call
from sop.errors import ActionRefused


@action(name="site.count", idempotent=True)
async def count(context: ActionContext, evidence: str) -> Result:
    """Count bytes."""
    return Result(fields={"size": len(await context.read(evidence, limit=10))})


@action(name="site.plain", idempotent=True)
def plain(context: ActionContext) -> Result:
    """Do nothing, in a thread."""
    return Result(fields={"case": context.case.number})


@action(name="site.wrong", idempotent=True)
async def wrong(context: ActionContext) -> dict[str, int]:
    """Return something else."""
    return {"case": context.case.number}


async def unmarked(context: ActionContext) -> Result:
    return Result()


async def test_an_action_is_given_evidence_and_gives_back_a_result() -> None:
    context = MemoryContext()
    piece = context.attach("a.txt", b"12345")
    assert (await call(count, context, evidence=piece.id)).fields == {"size": 5}
    assert await context.evidence_list() == [piece]
    with context.open(piece) as stream:
        assert stream.read() == b"12345"


async def test_a_plain_function_is_an_action_too() -> None:
    assert (await call(plain, MemoryContext())).fields == {"case": 1}


async def test_evidence_that_is_missing_or_too_large_is_refused() -> None:
    context = MemoryContext()
    piece = context.attach("a.txt", b"12345678901")
    with pytest.raises(ActionFailed, match="at most 10"):
        await call(count, context, evidence=piece.id)
    with pytest.raises(ActionFailed, match="no evidence 'other'"):
        await call(count, context, evidence="other")


async def test_what_is_no_action_or_gives_no_result_is_refused() -> None:
    with pytest.raises(ActionRefused, match="not marked"):
        await call(unmarked, MemoryContext())
    with pytest.raises(ActionFailed, match="returned dict"):
        await call(wrong, MemoryContext())
