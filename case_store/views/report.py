"""A case as one page to read, print and keep: HTML without scripts, that fetches nothing.

All text of a case is hostile: it is escaped, isolated from the direction of the text around it, and never a link.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Final

from jinja2 import Environment, StrictUndefined, Template

from case_store.audit.ledger import stream_of
from case_store.models import AuditStream, Case
from case_store.store import Tx
from case_store.views.case_page import case as case_page
from case_store.views.timeline import timeline

_CONTROLS: Final = (*range(9), *range(11, 32), *range(127, 160))
_TURNING: Final = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))  # the text around them, to right or left
_UNSEEN: Final = dict.fromkeys(_CONTROLS + _TURNING, "\ufffd")


async def report(tx: Tx, case: Case, *, by: str, at: datetime) -> str:
    """Return the page of a case.

    Args:
        tx: The transaction.
        case: The case.
        by: Who exports it, as the page names them.
        at: Now.
    """
    stream = await tx.session.get_one(AuditStream, stream_of(case))
    return _template().render(
        page=await case_page(tx, case.number), timeline=await timeline(tx, case), stream=stream, by=by, at=at
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"moment": _moment, "plain": _plain, "state": _state}
    return environment.from_string(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))


def _shown(value: object) -> object:
    """Return a value as a page shows it: nothing for None, no character that turns or hides what stands around it."""
    if value is None:
        return ""
    return value.translate(_UNSEEN) if type(value) is str else value


def _state(name: str) -> str:
    return name.replace("_", " ")


def _plain(value: object) -> str:
    """Return a value of a form or a result in words."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_plain, value))
        case dict():
            return ", ".join(f"{name}: {_plain(item)}" for name, item in value.items())
        case _:
            return str(value)


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
