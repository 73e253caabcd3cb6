"""The action `note.add`."""

from flows.actions.contract import ActionContext, Result, action


@action(name="note.add", idempotent=True, title="Add a note to the case")
async def add(context: ActionContext, body: str) -> Result:  # noqa: ARG001 - every action is given its context
    """Add a note to the case."""
    return Result(fields={"length": len(body)}, notes=[body])
