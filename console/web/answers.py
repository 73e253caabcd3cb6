"""The page behind a link. Looking changes nothing; sending the page's form decides, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from case_store import links
from case_store.errors import StoreError, StoreUnavailable
from case_store.forms import FormRefused
from case_store.links import Answer
from case_store.refusals import AlreadyDecided, CodeRequired, LinkRefused, NoOtherChannel, TextRequired, TooManyCodes
from case_store.views.answer_page import AnswerPage, answer_page
from console.web import binding
from console.web.body import form_fields
from console.web.site import BY, Site, new_request_id, site_of

QUESTION: Final = "q."
"""What the names of the SOP's own fields begin with."""
CODE: Final = "code"
_STATUS: Final = {"unknown": 404, "used": 410, "revoked": 410, "expired": 410, "not_allowed": 403}
_DONE: Final = {"done": "is done", "approve": "is approved", "reject": "is rejected", "skip": "is skipped"}


async def show(request: Request) -> Response:
    """Show what is asked."""
    site, name = site_of(request), _name(request)
    try:
        return await _page(site, request, name)
    except LinkRefused as refusal:
        return _refused(site, refusal)


async def take(request: Request) -> Response:
    """Take an answer."""
    site, name = site_of(request), _name(request)
    fields = await form_fields(request)
    if name is None:
        return _refused(site, LinkRefused("unknown"))
    if not site.per_link.allows(name):
        raise HTTPException(429, "This was sent too often. Wait a minute, then try again.")
    sent = dict(fields)
    try:
        if not binding.is_ours(site, request, sent.get(binding.FIELD, ""), name):
            said = "This page was too old, or came from elsewhere. Nothing was decided. Please answer again."
            return await _page(site, request, name, status=403, problems=[said], sent=fields)
        if sent.get("decision") == CODE:
            return await _send_code(site, request, name, fields)
        return await _decide(site, request, name, fields)
    except LinkRefused as refusal:
        return _refused(site, refusal)


async def _decide(site: Site, request: Request, name: str, fields: Sequence[tuple[str, str]]) -> Response:
    sent = dict(fields)
    given = Answer(sent.get("decision", ""), sent.get("note") or None, _answers(fields))
    try:
        if given.decision in links.SIGNED and (wrong := await _wrong_code(site, name, sent)):
            return await _page(site, request, name, status=422, problems=[wrong], sent=fields)
        async with site.store.transaction(request_id=new_request_id()) as tx:
            task = await links.answer(tx, name, given, by=BY, at=site.clock())
            title = task.title
    except FormRefused as error:
        return await _page(site, request, name, status=422, problems=error.problems, sent=fields)
    except (TextRequired, CodeRequired) as error:
        return await _page(site, request, name, status=422, problems=[_words(error)], sent=fields)
    except AlreadyDecided:
        raise LinkRefused("decided") from None  # by whom is nothing for whoever has the link
    except (LinkRefused, StoreUnavailable):
        raise
    except StoreError as error:
        return _said(site, 403, "This cannot be decided by link", type(error).__doc__ or "", _ELSEWHERE)
    return _said(site, 200, "Thank you", f"“{title}” {_DONE[given.decision]}.", "You can close this page.")


async def _wrong_code(site: Site, name: str, sent: Mapping[str, str]) -> str | None:
    """Return why a code is not taken; counted in a transaction of its own, whatever becomes of the decision."""
    async with site.store.transaction(request_id=new_request_id()) as tx:
        checked = await links.check_code(tx, name, sent["decision"], sent.get("code", ""), by=BY, at=site.clock())
    return _sentence(checked.why) if checked and checked.why else None


async def _send_code(site: Site, request: Request, name: str, fields: Sequence[tuple[str, str]]) -> Response:
    try:
        async with site.store.transaction(request_id=new_request_id()) as tx:
            channel = await links.send_code(tx, name, by=BY, at=site.clock())
    except TooManyCodes:
        problem = "A code was sent a moment ago, or too many within the hour. Look for it, or wait."
    except NoOtherChannel:
        problem = "No other way than this link's reaches you, so no code can be sent. Decide in the Prefect UI."
    else:
        return await _page(site, request, name, told=f"A code is on its way to you by {channel}.", sent=fields)
    return await _page(site, request, name, status=422, problems=[problem], sent=fields)


def _answers(fields: Sequence[tuple[str, str]]) -> dict[str, object]:
    """Return the answers by field: text, or a list of texts where a field came several times."""
    found: dict[str, object] = {}
    for key, value in fields:
        if key.startswith(QUESTION):
            field, before = key.removeprefix(QUESTION), found.get(key.removeprefix(QUESTION))
            if before is None:
                found[field] = value
            else:
                found[field] = [*before, value] if isinstance(before, list) else [before, value]
    return found


async def _page(
    site: Site,
    request: Request,
    name: str | None,
    *,
    status: int = 200,
    problems: Sequence[str] = (),
    told: str = "",
    sent: Sequence[tuple[str, str]] = (),
) -> Response:
    async with site.store.reading() as tx:
        page = await answer_page(tx, name, site.clock())
    view = binding.view_of(site, request)
    text = site.templates.get_template("answer.html").render(
        page=page, problems=problems, told=told, sealed=binding.seal(site, view, name or ""), **_kept(page, sent)
    )
    response = HTMLResponse(text, status)
    binding.remember(site, response, view)
    return response


def _kept(page: AnswerPage, sent: Sequence[tuple[str, str]]) -> Mapping[str, object]:
    """Return what somebody entered before, so that they need not type it again."""
    values: dict[str, list[str]] = {field: [] for field in page.form}
    for key, value in sent:
        if (field := key.removeprefix(QUESTION)) in values and key != field:
            values[field].append(value)
    return {"values": values, "note": dict(sent).get("note", "")}


def _name(request: Request) -> str | None:
    return site_of(request).keys.read_link(request.path_params["token"])


_ELSEWHERE: Final = "Decide in the Prefect UI, or ask whoever runs Casewright."
_HEADINGS: Final = {
    "unknown": "This link does not work",
    "used": "This link was used",
    "revoked": "This link was taken back",
    "expired": "This link has expired",
    "decided": "Nothing is left to decide",
    "changed": "The question has changed",
    "not_allowed": "This cannot be decided by link",
}


def _refused(site: Site, refusal: LinkRefused) -> Response:
    step = "Copy the whole link from the message, and try again." if refusal.why == "unknown" else _ELSEWHERE
    return _said(site, _STATUS.get(refusal.why, 409), _HEADINGS[refusal.why], _words(refusal), step)


def _words(error: StoreError) -> str:
    return _sentence(str(error))


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}."


def _said(site: Site, status: int, heading: str, words: str, step: str) -> Response:
    text = site.templates.get_template("said.html").render(heading=heading, words=words, step=step)
    return HTMLResponse(text, status)
