"""The action `http.request`."""

from collections.abc import Mapping
from typing import Any

from flows.actions.contract import ActionContext, ActionFailed, Result, action


@action(name="http.request", idempotent=False, title="Ask a web service")
async def request(
    context: ActionContext,  # noqa: ARG001
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,  # noqa: ARG001
    json: Any = None,  # noqa: ANN401, ARG001
) -> Result:
    """Send one request to a web service."""
    raise ActionFailed(f"{method} {url} was not sent: requests are not possible yet")
