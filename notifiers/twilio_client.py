"""Twilio's SDK with an HTTP client that sends a request once and tells whether it may have arrived.

The SDK's own asynchronous client ignores its timeout, repeats a POST when told to retry (each repeat is one more text
on somebody's phone), drops the Retry-After header and passes credentials in a way that aiohttp is giving up. The SDK
foresees being given another one; this is it.
"""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from twilio.base.exceptions import TwilioException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from notifiers.addresses import phone_number
from notifiers.http_post import failures_told_apart, new_session
from notifiers.reaching import AnswerLost, time_to_wait
from notifiers.settings import SmsConfig

RECEIPT_NAME = "message"
"""Field of a status callback's address that names the try it is about."""

_log = logging.getLogger(__name__)
_SUCCESS = range(200, 300)
# More texts than anybody gets between a first try and its repetition.
_PAGE = 200


class Refused(Exception):
    """Twilio answered, and the answer is no."""

    def __init__(self, status: int, code: int, text: str, retry_after: timedelta | None) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.retry_after = status, code, text, retry_after


@dataclass(frozen=True, slots=True)
class Queued:
    """Twilio has the text. `error_code` is set when it gave up on it."""

    sid: str
    status: str
    error_code: int | None
    body: str


class TwilioMessages:
    """Twilio's Messages resource, as far as a notifier needs it. Made inside a running event loop."""

    def __init__(self, config: SmsConfig) -> None:
        self._http = _OneRequest(config.base_url, config.connect_timeout)
        self._from: dict[str, str] = {}
        if config.messaging_service_sid is not None:
            self._from["messaging_service_sid"] = config.messaging_service_sid
        if config.sender is not None:
            self._from["from_"] = phone_number(config.sender)
        self._status_callback = config.status_callback
        self._client = Client(
            config.account_sid,
            config.auth_token.get_secret_value(),
            http_client=self._http,
            # Not empty: for an empty one the SDK takes the process's environment, and settings come from one place.
            environment={"TWILIO_EDGE": ""},
        )

    async def create(self, to: str, body: str, validity: int | None = None, receipt_name: str | None = None) -> Queued:
        """Hand one text to Twilio, once.

        Args:
            to: Number in E.164 form.
            body: The text.
            validity: Seconds after which Twilio throws away a text it could not pass on; None for its own default.
            receipt_name: What its callbacks call this text besides its SID, which we learn after it is on its way;
                None for nothing.

        Raises:
            Refused: Twilio does not take it.
            NotReached: Twilio was not reached.
            AnswerLost: Twilio may have taken it.
        """
        try:
            more: dict[str, Any] = {} if validity is None else {"validity_period": validity}
            if self._status_callback is not None:
                named = f"?{RECEIPT_NAME}={receipt_name}" if receipt_name is not None else ""
                more["status_callback"] = self._status_callback + named
            made = await self._client.messages.create_async(to=to, body=body, **self._from, **more)
        except (TwilioException, ValueError, TypeError, AttributeError) as reason:
            # It said yes, but not in Twilio's words.
            raise AnswerLost(f"the answer cannot be read ({type(reason).__name__})") from reason
        if not made.sid:
            raise AnswerLost("the answer names no message")
        return _queued(made)

    async def sent_to(self, to: str, since: datetime) -> list[Queued]:
        """Return the texts to a number that Twilio has and that were made since then, the newest first.

        Raises:
            Refused: Twilio does not tell.
            NotReached: Twilio was not reached.
            AnswerLost: Its answer did not arrive, or makes no sense.
        """
        try:
            # Not by `DateSent`, by which Twilio can filter: a text that still waits in its queue has none.
            listed = await self._client.messages.list_async(to=to, page_size=_PAGE, limit=_PAGE)
            return [_queued(one) for one in listed if one.date_created is None or one.date_created >= since]
        except (TwilioException, ValueError, TypeError, AttributeError) as reason:
            raise AnswerLost(f"the answer cannot be read ({type(reason).__name__})") from reason

    async def close(self) -> None:
        """Close the session."""
        await self._http.close()


class _OneRequest(AsyncHttpClient):  # type: ignore[misc]  # the SDK ships no types
    """Sends what the SDK asks for, exactly once, to Twilio or to `base_url` instead."""

    def __init__(self, base_url: str | None, connect_timeout: float) -> None:
        super().__init__(_log, is_async=True)
        self._base = urlsplit(base_url) if base_url is not None else None
        self._session = new_session(connect_timeout)

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - whoever calls sets a deadline around the whole try
        allow_redirects: bool = False,  # noqa: ARG002 - a redirect would send the text twice
    ) -> Response:
        credentials = {"Authorization": _basic(*auth)} if auth else {}
        with failures_told_apart():
            async with self._session.request(
                method,
                self._there(uri),
                params=params,
                data=data,
                headers={**(headers or {}), **credentials},
                allow_redirects=False,
            ) as answer:
                text = await answer.text()
        if answer.status not in _SUCCESS:
            raise _refusal(answer.status, text, answer.headers.get("Retry-After"))
        return Response(answer.status, text, answer.headers)

    async def close(self) -> None:
        await self._session.close()

    def _there(self, uri: str) -> str:
        if self._base is None:
            return uri
        return urlunsplit(urlsplit(uri)._replace(scheme=self._base.scheme, netloc=self._base.netloc))


def _queued(told: Any) -> Queued:  # noqa: ANN401 - the SDK ships no types
    return Queued(str(told.sid), str(told.status), told.error_code, str(told.body or ""))


def _basic(account: str, token: str) -> str:
    return "Basic " + b64encode(f"{account}:{token}".encode()).decode()


def _refusal(status: int, text: str, retry_after: str | None) -> Refused:
    try:
        told = json.loads(text)
        code, words = int(told["code"]), str(told.get("message") or told.get("detail") or told.get("title"))
    except (ValueError, TypeError, KeyError, AttributeError):
        code, words = status, text
    return Refused(status, code, words, time_to_wait(retry_after))
