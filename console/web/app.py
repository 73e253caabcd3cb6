"""The application: pages for people, hooks for providers, and whether it is well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from case_store.errors import StoreError, StoreUnavailable
from console.web import answers, pages, twilio_hooks
from console.web.headers import Headers
from console.web.limits import whose
from console.web.reader import reader_for
from console.web.site import Site, site_of

_STYLE: Final = files("console.web").joinpath("style.css").read_text(encoding="utf-8")

Answering = Callable[[Request], Awaitable[Response]]


def make(site: Site) -> ASGIApp:
    """Return the application of a site; every answer of it bears our headers, also one to what went wrong."""
    app = Starlette(
        routes=[
            Route("/a/{token}", _limited(answers.show), methods=["GET"]),
            Route("/a/{token}", _limited(answers.take), methods=["POST"]),
            Route("/hooks/twilio/status", twilio_hooks.status, methods=["POST"]),
            Route("/hooks/twilio/inbound", twilio_hooks.inbound, methods=["POST"]),
            Route("/style.css", style, methods=["GET"]),
            Route("/health", health, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _wrong, StoreError: _down, Exception: _failed},
    )
    app.router.redirect_slashes = False  # it would send people to whatever host the request names
    app.state.site = site
    return Headers(app, secure=site.secure)


def _limited(answering: Answering) -> Answering:
    async def limited(request: Request) -> Response:
        if not site_of(request).per_address.allows(whose(request.client.host if request.client else "")):
            raise HTTPException(429)
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
    return _told(request, error.status_code if isinstance(error, HTTPException) else 500)


async def _down(request: Request, error: Exception) -> Response:
    return _told(request, 503 if isinstance(error, StoreUnavailable) else 500)


async def _failed(request: Request, _error: Exception) -> Response:
    return _told(request, 500)


def _told(request: Request, status: int) -> Response:
    reader = reader_for(None, request)
    say, which = reader.say, status if reader.say.knows(f"wrong.{status}.head") else "other"
    lines = (say(f"wrong.{which}.words"), say("wrong.step"))
    return pages.said(site_of(request), reader, status, say(f"wrong.{which}.head"), *lines)
