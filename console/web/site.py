"""What the pages need: the case store, the keys, the settings and the time."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from case_store.actor import Actor
from case_store.links import LinkKeys
from case_store.settings import Settings
from case_store.store import CaseStore
from console.web.limits import Limit, Visits

if TYPE_CHECKING:
    from starlette.requests import Request

BY: Final = Actor.system("web")
"""Who carries out what comes in by the pages: nobody has logged in."""


@dataclass(frozen=True)
class Site:
    """One installation's pages.

    Attributes:
        store: The case store.
        keys: What signs links and forms.
        settings: What the installation decides.
        clock: The time, asked for by the edge.
        per_address: How often one address may ask, in a minute.
        per_link: How often one link may be answered, in a minute.
        per_sender: How many texts of one number are answered, in a minute: two machines may talk to each other.
        visits: Which visits to links are put on record.
    """

    store: CaseStore
    keys: LinkKeys
    settings: Settings
    clock: Callable[[], datetime]
    per_address: Limit = field(default_factory=lambda: Limit(300))
    per_link: Limit = field(default_factory=lambda: Limit(20))
    per_sender: Limit = field(default_factory=lambda: Limit(5))
    visits: Visits = field(default_factory=Visits)
    templates: Environment = field(
        init=False,
        repr=False,
        default_factory=lambda: Environment(
            loader=PackageLoader("console.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        ),
    )

    @property
    def secure(self) -> bool:
        """Whether people reach it by HTTPS."""
        return (self.settings.public_url or "").startswith("https://")


def site_of(request: Request) -> Site:
    """Return the site that a request came to."""
    site: Site = request.app.state.site
    return site


def new_request_id() -> str:
    """Return what ties the audit events of one request together."""
    return f"web-{uuid.uuid4()}"
