"""Actions of the tests: each leaves a line in a file, so that what really happened can be counted."""

import asyncio
from pathlib import Path

from flows.actions.contract import ActionContext, ActionFailed, Attachment, Result, TryAgain, action


def _effect(context: ActionContext, word: str) -> list[str]:
    """Append a line and return all lines of this word for this task."""
    file = Path(context.config["EFFECTS"])
    with file.open("a") as out:
        out.write(f"{word} {context.task_id}\n")
    return [line for line in file.read_text().splitlines() if line == f"{word} {context.task_id}"]


@action(name="test.mark", idempotent=True)
async def mark(context: ActionContext, word: str = "mark") -> Result:
    """Leave a mark, attach it, and name it as a field."""
    count = len(_effect(context, word))
    return Result(fields={"word": word, "count": count}, evidence=[Attachment("mark.txt", word.encode())])


@action(name="test.flaky", idempotent=True)
async def flaky(context: ActionContext) -> Result:
    """Fail at the first try."""
    if len(_effect(context, "flaky")) == 1:
        raise TryAgain("the first try never works")
    return Result(fields={"worked": True})


@action(name="test.broken", idempotent=True)
async def broken(context: ActionContext) -> Result:
    """Fail for good until a file says otherwise."""
    if Path(context.config["EFFECTS"]).with_name("repaired").exists():
        return Result()
    raise ActionFailed("the other side says no", next_step="ask the other side")


@action(name="test.once", idempotent=False)
async def once(context: ActionContext) -> Result:
    """Take effect, then take a while: whoever kills it in between leaves nobody knowing."""
    _effect(context, "once")
    for _ in range(100):
        if Path(context.config["EFFECTS"]).with_name("released").exists():
            break
        await asyncio.sleep(0.1)
    return Result(fields={"done": True})
