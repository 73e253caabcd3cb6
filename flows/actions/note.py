"""The action `note.add`."""

from flows.actions import parameters
from flows.actions.contract import ActionContext, ActionFailed, Result, action

MAX_NOTE = 50_000


@action(name="note.add", idempotent=True, title="Add a note to the case")
async def add(context: ActionContext, body: str) -> Result:  # noqa: ARG001 - every action is given its context
    """Add a note to the case.

    Args:
        context: The context.
        body: What it says, in Markdown; at most 50,000 characters.
    """
    words = parameters.text(body, "body")
    if len(words) > MAX_NOTE:
        step = "attach it as a file instead: casewright case attach"
        raise ActionFailed(f"the note has {len(words)} characters; at most {MAX_NOTE} are kept", next_step=step)
    return Result(fields={"length": len(words)}, notes=[words])
