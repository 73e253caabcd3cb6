"""The page behind a link. Looking decides nothing, and is on record; sending the page's form decides, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from case_store import links
from case_store.errors import StoreError
from case_store.forms import FormRefused, label_of
from case_store.lifecycle import NotAllowedNow
from case_store.links import Answer
from case_store.models import Task
from case_store.refusals import (
    AlreadyApproved,
    AlreadyDecided,
    CodeRequired,
    FourEyes,
    LinkRefused,
    MandatoryTask,
    NoOtherChannel,
    NotApprover,
    NotYours,
    ParametersChanged,
    PersonInactive,
    TextRequired,
    TooManyCodes,
    WrongKind,
)
from case_store.views.answer_page import AnswerPage, answer_page, reader_of
from console.web import binding, pages
from console.web.body import form_fields
from console.web.pages import QUESTION, Problem
from console.web.reader import Reader, reader_for
from console.web.site import BY, Site, new_request_id, site_of

CODE: Final = "code"
_FIRST_BUTTON: Final = "decide"
_STATUS: Final = {"unknown": 404, "used": 410, "revoked": 410, "expired": 410, "not_allowed": 403}
_LEADS_ON: Final = frozenset({"expired", "decided", "changed", "not_allowed"})
_NOT_THEIRS: Final = (
    AlreadyApproved,
    FourEyes,
    MandatoryTask,
    NotAllowedNow,
    NotApprover,
    NotYours,
    ParametersChanged,
    PersonInactive,
    WrongKind,
)


@dataclass(frozen=True, slots=True)
class _Visit:
    """Somebody follows a link that can be used."""

    site: Site
    request: Request
    name: str
    page: AnswerPage
    reader: Reader
    fields: Sequence[tuple[str, str]] = ()

    def sent(self, key: str) -> str:
        """Return what was sent by this name, the last of several."""
        return dict(self.fields).get(key, "")

    def again(self, status: int, *problems: Problem, told: str = "") -> Response:
        """Show the page, with what was entered."""
        return pages.question(
            self.site,
            self.request,
            self.name,
            self.page,
            self.reader,
            status=status,
            problems=problems,
            told=told,
            sent=self.fields,
        )


async def show(request: Request) -> Response:
    """Show what is asked."""
    try:
        visit = await _visit(request)
    except LinkRefused as refusal:
        return await _ended(request, refusal)
    site, name = visit.site, visit.name
    if (count := site.visits.count(f"opened {name}")) is not None:
        async with site.store.transaction(request_id=new_request_id()) as tx:
            await links.opened(tx, name, count=count, by=BY, at=site.clock())
    return visit.again(200)


async def take(request: Request) -> Response:
    """Take an answer."""
    site, name = site_of(request), _name(request)
    fields = await form_fields(request)
    if name is not None and not site.per_link.allows(name):
        raise HTTPException(429)
    try:
        visit = await _visit(request, fields)
        if not binding.is_ours(site, request, visit.sent(binding.FIELD), visit.name):
            return visit.again(403, Problem(visit.reader.say("too_old")))
        if not visit.sent("decision"):  # Enter was pressed in a field
            return visit.again(422, Problem(visit.reader.say("choose"), _FIRST_BUTTON))
        if visit.sent("decision") == CODE:
            return await _send_code(visit)
        return await _decide(visit)
    except LinkRefused as refusal:
        return await _ended(request, refusal)


async def _visit(request: Request, fields: Sequence[tuple[str, str]] = ()) -> _Visit:
    site, name = site_of(request), _name(request)
    async with site.store.reading() as tx:
        page = await answer_page(tx, name, site.clock())
    return _Visit(site, request, name or "", page, reader_for(page.reader, request), fields)


async def _decide(visit: _Visit) -> Response:
    site, say = visit.site, visit.reader.say
    given = Answer(visit.sent("decision"), visit.sent("note") or None, _answers(visit))
    try:
        if given.decision in links.SIGNED and (wrong := await _wrong_code(visit, given.decision)):
            return visit.again(422, wrong)
        async with site.store.transaction(request_id=new_request_id()) as tx:
            task = await links.answer(tx, visit.name, given, by=BY, at=site.clock())
    except FormRefused as error:
        return visit.again(422, *_faults(visit, error))
    except TextRequired:
        return visit.again(422, Problem(say("why_missing" if given.decision == "skip" else "note_missing"), "note"))
    except CodeRequired:
        return visit.again(422, Problem(say("code_missing"), "code"))
    except AlreadyDecided:
        raise LinkRefused("decided") from None  # by whom is nothing for whoever has the link
    except _NOT_THEIRS as error:
        return _not_theirs(visit, error)
    return _thanks(visit, task, given.decision)


async def _wrong_code(visit: _Visit, decision: str) -> Problem | None:
    """Return why a code is not taken; counted in a transaction of its own, whatever becomes of the decision."""
    site, say = visit.site, visit.reader.say
    async with site.store.transaction(request_id=new_request_id()) as tx:
        entered = visit.sent("code")
        checked = await links.check_code(tx, visit.name, decision, entered, by=BY, at=site.clock())
    if checked is None or checked.wrong is None:
        return None
    channel = say(f"channel.{checked.channel}") if checked.channel else ""
    return Problem(say(f"code.{checked.wrong}", left=checked.left, channel=channel), "code")


async def _send_code(visit: _Visit) -> Response:
    site, say = visit.site, visit.reader.say
    try:
        async with site.store.transaction(request_id=new_request_id()) as tx:
            channel = await links.send_code(tx, visit.name, by=BY, at=site.clock())
    except TooManyCodes:
        return visit.again(422, Problem(say("too_many_codes"), "code"))
    except NoOtherChannel:
        return visit.again(422, Problem(say("no_other_channel"), "code"))
    except _NOT_THEIRS as error:
        return _not_theirs(visit, error)
    return visit.again(200, told=say("code_sent", channel=say(f"channel.{channel}")))


def _answers(visit: _Visit) -> dict[str, object]:
    """Return the answers by field: text, or a list of texts where a field came several times."""
    found: dict[str, object] = {}
    for key, value in visit.fields:
        if key.startswith(QUESTION):
            field, before = key.removeprefix(QUESTION), found.get(key.removeprefix(QUESTION))
            asked = visit.page.form.get(field)
            entered = visit.reader.moment_entered(value) if asked and asked.type == "datetime" else value
            if before is None:
                found[field] = entered
            else:
                found[field] = [*before, entered] if isinstance(before, list) else [before, entered]
    return found


def _faults(visit: _Visit, error: FormRefused) -> list[Problem]:
    form, say = visit.page.form, visit.reader.say
    found = []
    for fault in error.faults:
        label = label_of(fault.field, form[fault.field]) if fault.field in form else fault.field
        found.append(Problem(say(f"answer.{fault.kind}", **fault.facts), pages.field_id(fault.field), label))
    return found


def _thanks(visit: _Visit, task: Task, decision: str) -> Response:
    say, page = visit.reader.say, visit.page
    key = "one_approved" if decision == "approve" and task.state == "open" else decision
    words = say(f"decided.{key}", title=page.task_title)
    return pages.said(visit.site, visit.reader, 200, say("thanks"), words, say("close", case=page.case_number))


def _not_theirs(visit: _Visit, error: StoreError) -> Response:
    say, why = visit.reader.say, type(error).__name__
    words = say(why if say.knows(why) else "not_now")
    onwards = (say("to_prefect"), visit.site.settings.prefect_ui_url)
    lines = (words, say("not_allowed.step"))
    return pages.said(visit.site, visit.reader, 403, say("not_allowed.head"), *lines, onwards=onwards)


async def _ended(request: Request, refusal: LinkRefused) -> Response:
    """Say why a link cannot be used, and what to do; nothing of the task: whoever has the link may not see it."""
    site, name, why = site_of(request), _name(request), refusal.why
    await _put_on_record(site, name, why)
    async with site.store.reading() as tx:
        person = await reader_of(tx, name)
    reader = reader_for(person, request)
    say = reader.say
    onwards = (say("to_prefect"), site.settings.prefect_ui_url) if why in _LEADS_ON else None
    lines = (say(f"{why}.words"), say(f"{why}.step"))
    return pages.said(site, reader, _STATUS.get(why, 409), say(f"{why}.head"), *lines, onwards=onwards)


async def _put_on_record(site: Site, name: str | None, why: str) -> None:
    # What is unknown is counted as one: whoever guesses would fill the memory with names.
    if (count := site.visits.count("unknown" if why == "unknown" else f"{why} {name}")) is not None:
        async with site.store.transaction(request_id=new_request_id()) as tx:
            await links.refused(tx, name, why, count=count, by=BY, at=site.clock())


def _name(request: Request) -> str | None:
    return site_of(request).keys.read_link(request.path_params["token"])
