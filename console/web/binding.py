"""A page is bound to the browser that it was shown in: what another site has a browser send is not taken."""

from __future__ import annotations

import re
import secrets
from hmac import compare_digest
from typing import Final

from itsdangerous import BadSignature
from starlette.requests import Request
from starlette.responses import Response

from console.web.site import Site

FIELD: Final = "page"
LASTS: Final = 3600
"""Seconds for which a page can be sent."""
_PURPOSE: Final = "casewright.page.v1"
_VIEW: Final = re.compile(r"[A-Za-z0-9_-]{22}")


def view_of(site: Site, request: Request) -> str:
    """Return what the cookie says about this browser, or something new: two pages may be open at once."""
    said = request.cookies.get(_cookie(site), "")
    return said if _VIEW.fullmatch(said) else secrets.token_urlsafe(16)


def seal(site: Site, view: str, name: str) -> str:
    """Return what the form of a page carries: it is good for this browser, this link, and an hour."""
    return str(site.keys.signer(_PURPOSE).dumps([view, name]))


def remember(site: Site, response: Response, view: str) -> None:
    """Have the browser remember the view; other sites cannot have it sent along with a form.

    `lax`, as people come from web mail: with `strict` each link that they follow there would make the pages that they
    have open already those of another browser.
    """
    response.set_cookie(_cookie(site), view, path="/", secure=site.secure, httponly=True, samesite="lax")


def is_ours(site: Site, request: Request, sealed: str, name: str) -> bool:
    """Tell whether a form comes from a page that we showed in this browser, about this link, within the hour."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    try:
        made = site.keys.signer(_PURPOSE).loads(sealed, max_age=LASTS)
    except BadSignature:
        return False
    said = [request.cookies.get(_cookie(site), ""), name]
    return isinstance(made, list) and compare_digest("\n".join(map(str, made)).encode(), "\n".join(said).encode())


def _cookie(site: Site) -> str:
    return "__Host-casewright" if site.secure else "casewright"
