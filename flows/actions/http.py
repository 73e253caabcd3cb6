"""The actions `http.get` and `http.request`: two names, because whether an action may be repeated is part of its name.

`http.get` looks something up; interrupted, it simply asks again. `http.request` may change something on the other side;
interrupted between request and answer, it is not repeated, a person is asked.
"""

from __future__ import annotations

import json as encoder
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from flows.actions import parameters
from flows.actions.contract import ActionContext, ActionFailed, Attachment, OutcomeUnknown, Result, TryAgain, action
from flows.actions.web import Answer, Web

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_JSON_IN_FIELDS: Final = 16 * 1024
_LATER: Final = (429, 503)
_MAYBE: Final = (302, 303, 408, 500, 502, 504)
_LONGEST_WAIT: Final = 24 * 3600


@action(name="http.get", idempotent=True, title="Look up with a web service")
async def get(
    context: ActionContext,
    url: str,
    headers: Mapping[str, str] | None = None,
    expect: Sequence[int] | None = None,
) -> Result:
    """Ask a web service and attach its answer; may be repeated.

    Args:
        context: The context.
        url: http or https; the machine has to be one that actions may reach.
        headers: `secret:NAME` in a value stands for a secret that the operator has set for this host.
        expect: The statuses that count as success; without it 200 to 299.
    """
    web = Web.of(context.config)
    answer = await web.send(
        "GET", parameters.text(url, "url"), headers=parameters.texts(headers, "headers"), repeatable=True
    )
    _judge(answer, expect, repeatable=True)
    return _result(answer)


@action(name="http.request", idempotent=False, title="Send to a web service")
async def request(
    context: ActionContext,
    url: str,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    json: Any = None,  # noqa: ANN401 - whatever JSON the SOP writes
    body: str | None = None,
    expect: Sequence[int] | None = None,
) -> Result:
    """Send one request to a web service and attach its answer; never repeated without asking.

    Args:
        context: The context.
        url: http or https; the machine has to be one that actions may reach.
        method: GET, HEAD, POST, PUT, PATCH or DELETE.
        headers: `secret:NAME` in a value stands for a secret that the operator has set for this host.
        json: The body, as JSON.
        body: The body, as text; only one of the two.
        expect: The statuses that count as success; without it 200 to 299.
    """
    if method not in METHODS:
        raise ActionFailed(f"the method {method!r} is not possible", next_step=f"use one of {', '.join(METHODS)}")
    ready = parameters.texts(headers, "headers")
    content, kind = _body(json, body)
    if kind and not any(name.lower() == "content-type" for name in ready):
        ready["Content-Type"] = kind
    web = Web.of(context.config)
    answer = await web.send(method, parameters.text(url, "url"), headers=ready, content=content)
    _judge(answer, expect, repeatable=False)
    return _result(answer)


def _body(json: object, body: str | None) -> tuple[bytes, str]:
    if json is not None and body is not None:
        raise ActionFailed("a request has one body", next_step="keep either `json` or `body` in the SOP")
    if body is not None:
        return parameters.text(body, "body").encode(), "text/plain; charset=utf-8"
    return (b"", "") if json is None else (encoder.dumps(json).encode(), "application/json")


def _judge(answer: Answer, expect: Sequence[int] | None, *, repeatable: bool) -> None:
    """Tell from the status whether it was done.

    What a gateway or a broken server answers leaves open whether the request took effect; so does a redirect after
    which a form would show its result.
    """
    if answer.status in expect if expect else 200 <= answer.status < 300:  # noqa: PLR2004 - RFC 9110, 15.3
        return
    what = f"the service answered with status {answer.status}"
    if answer.status in _LATER:
        raise TryAgain(what, after=_retry_after(answer.headers.get("retry-after", "")))
    if answer.status in _MAYBE and not repeatable:
        raise OutcomeUnknown(what)
    if 300 <= answer.status < 400:  # noqa: PLR2004 - RFC 9110, 15.4
        step = "redirects are not followed; put the address it leads to into the SOP, if it is one you trust"
        raise ActionFailed(f"{what}: it is somewhere else", next_step=step)
    if answer.status in _MAYBE:
        raise TryAgain(what)
    step = "check URL, headers and body in the SOP, or list the status under `expect` if it is as good as success"
    raise ActionFailed(what, next_step=step)


def _retry_after(value: str) -> timedelta | None:
    """Read the header in its form of seconds; as a date it would need a clock."""
    return timedelta(seconds=min(int(value), _LONGEST_WAIT)) if re.fullmatch(r"\d{1,9}", value) else None


def _result(answer: Answer) -> Result:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    fields: dict[str, Any] = {
        "status": answer.status,
        "content_type": kind,
        "size": len(answer.body),
        "truncated": answer.truncated,
        "redacted": answer.redacted,
    }
    if (value := _json(answer, kind)) is not None:
        fields["json"] = value
    name = "response.json" if "json" in kind else "response.html" if kind == "text/html" else "response.txt"
    if not kind.startswith("text/") and "json" not in kind:
        name = "response.bin"
    return Result(fields=fields, evidence=[Attachment(name, answer.body, kind or None)] if answer.body else [])


def _json(answer: Answer, kind: str) -> object:
    """Return a small JSON answer for conditions to read; None when it is none, or too large for a field."""
    if "json" not in kind or len(answer.body) > _JSON_IN_FIELDS or answer.truncated:
        return None
    try:
        value = encoder.loads(answer.body)
        encoder.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return value
