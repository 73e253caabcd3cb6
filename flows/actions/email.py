"""The action `email.parse`."""

import asyncio
from email import message_from_bytes, policy

from flows.actions.contract import ActionContext, Result, action


@action(name="email.parse", idempotent=True, title="Read an e-mail message")
async def parse(context: ActionContext, evidence: str) -> Result:
    """Read a message: who it says it is from, what it carries, and which observables are in its headers."""
    content = await context.read(evidence)
    return await asyncio.to_thread(_parsed, content)


def _parsed(content: bytes) -> Result:
    message = message_from_bytes(content, policy=policy.default)
    return Result(fields={"subject": str(message["subject"] or ""), "sender": str(message["from"] or "")})
