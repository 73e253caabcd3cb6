"""The application: pages for people, hooks for providers, and whether it is well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from case_store.errors import StoreError, StoreUnavailable
from console.web import answers, twilio_hooks
from console.web.headers import Headers
from console.web.site import Site, site_of

_STYLE: Final = files("console.web").joinpath("style.css").read_text(encoding="utf-8")
_HEADINGS: Final = {404: "There is no such page", 405: "This cannot be done here", 429: "Too often", 503: "Not now"}

Answering = Callable[[Request], Awaitable[Response]]


def make(site: Site) -> Starlette:
    """Return the application of a site."""
    app = Starlette(
        routes=[
            Route("/a/{token}", _limited(answers.show), methods=["GET"]),
            Route("/a/{token}", _limited(answers.take), methods=["POST"]),
            Route("/hooks/twilio/status", twilio_hooks.status, methods=["POST"]),
            Route("/hooks/twilio/inbound", twilio_hooks.inbound, methods=["POST"]),
            Route("/style.css", style, methods=["GET"]),
            Route("/health", health, methods=["GET"]),
        ],
        middleware=[Middleware(Headers, secure=site.secure)],
        exception_handlers={HTTPException: _wrong, StoreError: _down, Exception: _failed},
    )
    app.state.site = site
    return app


def _limited(answering: Answering) -> Answering:
    async def limited(request: Request) -> Response:
        address = request.client.host if request.client else "unknown"
        if not site_of(request).per_address.allows(address):
            raise HTTPException(429, "This address asks too often. Wait a minute, then try again.")
        return await answering(request)

    return limited


async def style(_request: Request) -> Response:
    """Return how pages look."""
    return Response(_STYLE, media_type="text/css")


async def health(request: Request) -> Response:
    """Say whether the case store can be read."""
    async with site_of(request).store.reading():
        return PlainTextResponse("ok")


async def _wrong(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = error.detail if isinstance(error, HTTPException) else ""
    return _told(request, status, _HEADINGS.get(status, "This was not taken"), words)


async def _down(request: Request, error: Exception) -> Response:
    if isinstance(error, StoreUnavailable):
        return _told(request, 503, _HEADINGS[503], "The case store is busy or down. Nothing was decided.")
    return _told(request, 500, "This went wrong", "Nothing was decided.")


async def _failed(request: Request, _error: Exception) -> Response:
    return _told(request, 500, "This went wrong", "Nothing was decided.")


def _told(request: Request, status: int, heading: str, words: str) -> Response:
    page = site_of(request).templates.get_template("said.html")
    text = page.render(heading=heading, words=words, step="Try again in a moment, or ask whoever runs Casewright.")
    return HTMLResponse(text, status)
