"""A stand-in for Twilio's Messages API on a loopback port: it keeps what it takes, and refuses what Twilio refuses.

Shapes and codes follow Twilio's published OpenAPI document (twilio_api_v2010, Messages) and its error dictionary.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime, localtime
from types import TracebackType
from typing import Final, Literal, Self

from aiohttp import ClientSession, web
from twilio.request_validator import RequestValidator

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_LONGEST: Final = 1600


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no: HTTP status, Twilio's code, and headers such as Retry-After."""

    status: int
    code: int
    message: str = "told to refuse"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Garbled:
    """An answer that is not Twilio's, with any status: a gateway's page, or a success that cannot be read."""

    status: int
    text: str = "<html>gateway</html>"
    headers: Mapping[str, str] = field(default_factory=dict)


Fault = Refusal | Garbled | Literal["drop", "silence"]
"""What to do to one request: refuse it; garble the answer; or take it and then cut the line or never answer."""


class FakeTwilio:
    """`async with FakeTwilio() as twilio:` listens on `twilio.url` until the block ends.

    Attributes:
        messages: Texts it has, oldest first, as it shows them to clients.
        forms: The requests that they came by.
        requests: How many requests to send a text came, whatever became of them.
        callers: Host and port that each of them came from.
        faults: What to do to the next requests to send, one each; usual when empty.
        opted_out: Numbers that sent STOP.
        list_faults: What to do to the next requests for the list, one each.
        shows: False while its list does not show yet what it took.
        listings: How many requests for the list came.
        tells_first: Status and code to tell of each text before its request is answered; None tells nothing.
    """

    account_sid: Final = "AC" + "0" * 32
    auth_token: Final = "token-of-the-fake"  # noqa: S105 - opens nothing

    def __init__(self, *, clock: Callable[[], datetime] = localtime) -> None:
        self.messages: list[dict[str, object]] = []
        self.forms: list[dict[str, str]] = []
        self.requests = 0
        self.callers: list[object] = []
        self.faults: deque[Fault] = deque()
        self.opted_out: set[str] = set()
        self.list_faults: deque[Refusal | Garbled] = deque()
        self.shows = True
        self.listings = 0
        self.tells_first: tuple[str, int | None] | None = None
        self._callbacks: dict[str, str] = {}
        self._clock = clock
        self._leaving = asyncio.Event()
        self._news = asyncio.Condition()
        account = web.Application(middlewares=[self._authenticate])
        account.router.add_post("/Messages.json", self._create)
        account.router.add_get("/Messages.json", self._list)
        account.router.add_get("/Messages/{sid}.json", self._fetch)
        application = web.Application()
        application.add_subapp(f"/2010-04-01/Accounts/{self.account_sid}", account)
        self._runner = web.AppRunner(application, access_log=None)
        self._port = 0

    @property
    def url(self) -> str:
        """Where the API is reached."""
        return f"http://127.0.0.1:{self._port}"

    async def wait_for(self, count: int) -> list[dict[str, object]]:
        """Wait until it has `count` texts, and give them."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.messages) >= count)
        return self.messages[:count]

    async def tell(self, sid: str, status: str, error_code: int | None = None) -> int:
        """Tell what became of a text, signed as Twilio signs, to where its request said; give the answer's status.

        A test calls it as often and in whatever order it likes: Twilio promises neither once nor in order.

        Raises:
            KeyError: The request named no address, or there is no such text.
        """
        url = self._callbacks[sid]
        message = next(one for one in self.messages if one["sid"] == sid)
        message["status"], message["error_code"] = status, error_code
        form = {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "MessageSid": sid,
            "SmsSid": sid,
            "MessageStatus": status,
            "SmsStatus": status,
            "To": str(message["to"]),
            **({} if error_code is None else {"ErrorCode": str(error_code)}),
        }
        signature = RequestValidator(self.auth_token).compute_signature(url, form)
        async with (
            ClientSession() as session,
            session.post(url, data=form, headers={"X-Twilio-Signature": signature}) as answer,
        ):
            return answer.status

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        await self._runner.cleanup()

    @web.middleware
    async def _authenticate(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        credentials = b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {credentials}":
            return _refuse(Refusal(401, 20003, "Authenticate"))
        return await handler(request)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.callers.append(request.transport.get_extra_info("peername") if request.transport else None)
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, Refusal):
            return _refuse(fault)
        if isinstance(fault, Garbled):
            return web.Response(status=fault.status, text=fault.text, headers=fault.headers)
        form = {name: str(value) for name, value in (await request.post()).items()}
        if refusal := self._objection(form):
            return _refuse(refusal)
        message = self._message(form)
        if "StatusCallback" in form:
            self._callbacks[str(message["sid"])] = form["StatusCallback"]
        async with self._news:
            self.messages.append(message)
            self.forms.append(form)
            self._news.notify_all()
        if self.tells_first is not None:
            await self.tell(str(message["sid"]), *self.tells_first)
        if fault == "drop" and request.transport is not None:
            request.transport.abort()
        elif fault == "silence":
            await self._leaving.wait()
        return web.json_response(message, status=201)

    def _objection(self, form: Mapping[str, str]) -> Refusal | None:
        to, body = form.get("To", ""), form.get("Body", "")
        if not _E164.fullmatch(to):
            return Refusal(400, 21211, f"The 'To' number {to} is not a valid phone number.")
        if to in self.opted_out:
            return Refusal(400, 21610, "Attempt to send to unsubscribed recipient")
        if not body:
            return Refusal(400, 21602, "Message body is required.")
        if len(body) > _LONGEST:
            return Refusal(400, 21617, "The concatenated message body exceeds the 1600 character limit")
        if not form.get("From") and not form.get("MessagingServiceSid"):
            return Refusal(400, 21603, "A 'From' phone number is required.")
        return None

    def _message(self, form: Mapping[str, str]) -> dict[str, object]:
        sid, now = f"SM{len(self.messages) + 1:032x}", format_datetime(self._clock())
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": form["Body"],
            "date_created": now,
            "date_sent": None,
            "date_updated": now,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": form.get("From"),
            "messaging_service_sid": form.get("MessagingServiceSid"),
            "num_media": "0",
            "num_segments": "0" if "MessagingServiceSid" in form else "1",
            "price": None,
            "price_unit": "USD",
            "sid": sid,
            "status": "accepted" if "MessagingServiceSid" in form else "queued",
            "subresource_uris": {"media": f"/2010-04-01/Accounts/{self.account_sid}/Messages/{sid}/Media.json"},
            "to": form["To"],
            "uri": f"/2010-04-01/Accounts/{self.account_sid}/Messages/{sid}.json",
        }

    async def _list(self, request: web.Request) -> web.Response:
        self.listings += 1
        fault = self.list_faults.popleft() if self.list_faults else None
        if isinstance(fault, Refusal):
            return _refuse(fault)
        if isinstance(fault, Garbled):
            return web.Response(status=fault.status, text=fault.text, headers=fault.headers)
        to = request.query.get("To")
        found = [message for message in reversed(self.messages) if to in {None, message["to"]} and self.shows]
        return web.json_response({"messages": found, "page": 0, "page_size": 50, "next_page_uri": None})

    async def _fetch(self, request: web.Request) -> web.Response:
        for message in self.messages:
            if message["sid"] == request.match_info["sid"]:
                return web.json_response(message)
        return _refuse(Refusal(404, 20404, "The requested resource was not found"))


def _refuse(refusal: Refusal) -> web.Response:
    told = {
        "code": refusal.code,
        "message": refusal.message,
        "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
        "status": refusal.status,
    }
    return web.json_response(told, status=refusal.status, headers=refusal.headers)
