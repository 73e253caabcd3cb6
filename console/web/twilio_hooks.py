"""What Twilio calls: what became of a text, and texts that people send back.

A call is believed when Twilio has signed it, for the address that our settings name: what the request says of its own
address is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from case_store import outbox, replies
from case_store.errors import ConstraintBroken
from console.web.body import form_fields
from console.web.site import BY, Site, new_request_id, site_of

_CHANNEL: Final = "sms"


async def status(request: Request) -> Response:
    """Take what became of a text. Known, late and foreign ones change nothing, and are answered like all others."""
    site, said = await _signed(request)
    policy = outbox.Policy.of(site.settings)
    sid, word = said.get("MessageSid", ""), said.get("MessageStatus", "")
    code, name = said.get("ErrorCode") or None, request.query_params.get("message")
    async with site.store.transaction(request_id=new_request_id()) as tx:
        await outbox.receipt(tx, _CHANNEL, sid, word, by=BY, at=site.clock(), code=code, name=name, policy=policy)
    return Response(status_code=204)


async def inbound(request: Request) -> Response:
    """Take a text that somebody sent; one that was taken before changes nothing."""
    site, said = await _signed(request)
    number, text, sid = said.get("From", ""), said.get("Body", ""), said.get("MessageSid", "")
    if not sid:
        raise HTTPException(400, "The call names no message.")
    try:
        answer = await _take(site, number, text, sid)
    except ConstraintBroken:  # the same one came at the same moment
        answer = None
    if answer is None or not site.per_sender.allows(number):
        return _twiml("")
    return _twiml(f"<Message>{escape(answer)}</Message>")


async def _take(site: Site, number: str, text: str, sid: str) -> str | None:
    async with site.store.transaction(request_id=new_request_id()) as tx:
        said = replies.read(text)
        person = await replies.by_phone(tx, number)
        if person is None:  # a stranger is told nothing, not even that we are here
            await replies.take_of_shared(tx, number, _CHANNEL, sid, said, by=BY, at=site.clock())
            return None
        sender = replies.Sender(person, _CHANNEL, sid)
        taken = await replies.take(tx, sender, said, by=BY, at=site.clock())
        return taken.words if taken else None


def _twiml(inner: str) -> Response:
    return Response(f'<?xml version="1.0" encoding="UTF-8"?><Response>{inner}</Response>', media_type="text/xml")


async def _signed(request: Request) -> tuple[Site, Mapping[str, str]]:
    """Return the site, and the fields of a call that Twilio has signed."""
    from twilio.request_validator import RequestValidator

    site = site_of(request)
    token, public = site.settings.twilio_auth_token, site.settings.public_url
    if token is None or public is None:
        raise HTTPException(404, "Texts are not set up here: CASEWRIGHT_TWILIO_AUTH_TOKEN, CASEWRIGHT_PUBLIC_URL.")
    fields = dict(await form_fields(request))
    query = f"?{request.url.query}" if request.url.query else ""
    url = f"{public}{request.url.path}{query}"
    signature = request.headers.get("x-twilio-signature", "")
    if not RequestValidator(token.get_secret_value()).validate(url, fields, signature):
        raise HTTPException(403, "The call is not signed for this address.")
    return site, fields
