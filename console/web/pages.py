"""Writes the pages: the question behind a link, and those that only say something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from case_store.forms import label_of
from case_store.views.answer_page import AnswerPage
from console.web import binding, markdown
from console.web.reader import Reader
from console.web.site import Site

QUESTION: Final = "q."
"""What the names of the SOP's own fields begin with."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an answer was not taken.

    Attributes:
        words: The reason.
        at: The id of the field that it is about; None when it is about none.
        label: What the field is called, where the words do not say it.
    """

    words: str
    at: str | None = None
    label: str | None = None


def question(
    site: Site,
    request: Request,
    name: str,
    page: AnswerPage,
    reader: Reader,
    *,
    status: int = 200,
    problems: Sequence[Problem] = (),
    told: str = "",
    sent: Sequence[tuple[str, str]] = (),
) -> Response:
    """Show what is asked; with problems, why an answer was not taken, and what was entered."""
    view = binding.view_of(site, request)
    text = site.templates.get_template("answer.html").render(
        reader=reader,
        say=reader.say,
        page=page,
        instructions=markdown.as_html(page.instructions),
        problems=problems,
        wrong={one.at: one.words for one in reversed(problems) if one.at},
        told=told,
        sealed=binding.seal(site, view, name),
        labels={field: label_of(field, asked) for field, asked in page.form.items()},
        ids={field: field_id(field) for field in page.form},
        **_kept(page, sent),
    )
    response = HTMLResponse(text, status)
    binding.remember(site, response, view)
    return response


def field_id(field: str) -> str:
    """Return the id of the SOP's own field on the page."""
    return f"q-{field}"


def said(
    site: Site, reader: Reader, status: int, heading: str, *lines: str, onwards: tuple[str, str] | None = None
) -> Response:
    """Say something; `onwards` is a link that leads on: what it says, and where to."""
    page = site.templates.get_template("said.html")
    return HTMLResponse(page.render(say=reader.say, heading=heading, lines=lines, onwards=onwards), status)


def _kept(page: AnswerPage, sent: Sequence[tuple[str, str]]) -> Mapping[str, object]:
    """Return what somebody entered before, so that they need not type it again."""
    values: dict[str, list[str]] = {field: [] for field in page.form}
    for key, value in sent:
        if (field := key.removeprefix(QUESTION)) in values and key != field:
            values[field].append(value)
    return {"values": values, "note": dict(sent).get("note", "")}
