"""Checks of what an SOP passes to an action: a condition may well have come out as a number or as null."""

from __future__ import annotations

from collections.abc import Mapping

from flows.actions.contract import ActionContext, ActionFailed, EvidenceFacts


def text(value: object, name: str) -> str:
    """Return a parameter that must be text.

    Raises:
        ActionFailed: It is empty or something else.
    """
    if not isinstance(value, str) or not value.strip():
        shown = "empty" if value is None or value == "" else f"{type(value).__name__}, not text"
        step = f"correct `with: {{{name}: ...}}` in the SOP, or whatever it takes the value from"
        raise ActionFailed(f"the parameter {name!r} is {shown}", next_step=step)
    return value


def texts(value: object, name: str) -> dict[str, str]:
    """Return a parameter that must be a mapping of texts; null is an empty one.

    Raises:
        ActionFailed: It is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        step = f"write `{name}: {{Key: \"'value'\"}}` in the SOP"
        raise ActionFailed(f"the parameter {name!r} is {type(value).__name__}, not a mapping", next_step=step)
    return {text(key, name): text(item, f"{name}.{key}") for key, item in value.items()}


async def evidence(context: ActionContext, wanted: object) -> EvidenceFacts:
    """Return the piece of evidence that an SOP names by id, or by its name when only one is called so.

    Raises:
        ActionFailed: There is none, or more than one of this name.
    """
    key = text(wanted, "evidence").strip()
    pieces = await context.evidence_list()
    found = [one for one in pieces if one.id == key] or [one for one in pieces if one.name == key]
    if len(found) == 1:
        return found[0]
    step = "name it by its id: `casewright case show` lists what the case has, `casewright case attach` adds to it"
    how_many = "no evidence" if not found else f"{len(found)} pieces of evidence"
    raise ActionFailed(f"CASE-{context.case.number} has {how_many} with the id or name {key[:100]!r}", next_step=step)
