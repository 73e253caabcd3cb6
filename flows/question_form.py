"""The form a person sees in the Prefect UI for a task, and how an answer to it is read.

The form is plain JSON Schema; the Prefect server checks every answer against it before it lets the run go on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from case_store import forms
from sop import model

DECISION, SIGNED_BY, TAKE_OVER, NOTE = "decision", "signed_by", "take_over", "note"
CODE = "sign_off_code"
OWN_FIELDS = (DECISION, SIGNED_BY, CODE, TAKE_OVER, NOTE)

# Beyond this many people a list to choose from helps nobody; the handle is then typed.
_LONGEST_LIST = 200


@dataclass(frozen=True, slots=True)
class Facts:
    """What the form tells about a task besides the SOP's own words.

    Attributes:
        number: The case's number.
        stage: The stage's title.
        state: The task's state: open, failed or unknown_outcome.
        owner: Who owns it, as people read it.
        due_at: When it is due; None if it has no SLA.
        parameters: Exactly what the task's action will run with; None without an action.
        attempt: 1 for the first time it is asked.
        reason: Why it is asked again, or why the action failed; None if there is nothing to say.
        people: Handles of those who may sign.
        approved_by: Handles of those who have approved it so far, where several must.
    """

    number: int
    stage: str
    state: str
    owner: str
    due_at: datetime | None
    parameters: Mapping[str, object] | None
    attempt: int
    reason: str | None
    people: Sequence[str]
    approved_by: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody entered."""

    decision: str
    signed_by: str
    take_over: bool
    note: str | None
    values: dict[str, object]
    code: str | None = None


def decisions(task: model.Task, state: str) -> tuple[str, ...]:
    """Return what can be decided about a task in this state.

    A form can only be answered here, so that the server can insist on its fields; whoever wants to skip it does so at
    the command line.
    """
    skip = () if task.mandatory else ("skip",)
    if state in {"failed", "unknown_outcome"}:
        return ("retry", "done", *skip)
    if task.approval is not None:
        return ("approve", "reject", *skip)
    return ("done",) if task.form else ("done", *skip)


def schema(task: model.Task, facts: Facts) -> dict[str, object]:
    """Return the JSON Schema of the form."""
    choices = decisions(task, facts.state)
    questions = forms.json_schema(task.form or {}) if facts.state == "open" else _NO_QUESTIONS
    properties: dict[str, dict[str, object]] = {
        DECISION: {"title": "Decision", "type": "string", "enum": list(choices)},
        **questions["properties"],  # type: ignore[dict-item]
        SIGNED_BY: _signed_by(facts.people),
        NOTE: {
            "title": "Note",
            "type": "string",
            "description": "Kept with the case: what you looked at, and why you decide so.",
        },
        TAKE_OVER: {
            "title": "Take over",
            "type": "boolean",
            "default": False,
            "description": f"Only if you are not the owner ({facts.owner}): tick it to close the task in their place.",
        },
    }
    needed = [DECISION, *questions["required"], SIGNED_BY]  # type: ignore[misc]
    if asks_code(task, facts.state):
        properties[CODE] = _CODE
    if choices == ("done",):
        del properties[DECISION]
        needed.remove(DECISION)
    elif choices[0] == "done":
        properties[DECISION]["default"] = "done"
        needed.remove(DECISION)
    if task.note_required:
        needed.append(NOTE)
    return {
        "title": "Answer",
        "type": "object",
        "properties": {
            name: {**described, "position": position} for position, (name, described) in enumerate(properties.items())
        },
        "required": needed,
        "additionalProperties": False,
        "definitions": {},
    }


def asks_code(task: model.Task, state: str) -> bool:
    """Say whether a decision about a task in this state is signed with a code."""
    return state == "open" and task.approval is not None and task.approval.sign_off_code


def description(task: model.Task, facts: Facts) -> str:
    """Return what stands above the form, in Markdown."""
    due = f" · due {facts.due_at:%Y-%m-%d %H:%M} UTC" if facts.due_at else ""
    parts = [f"### CASE-{facts.number} · {task.title}", f"{facts.stage} · owner: {facts.owner}{due}"]
    if facts.attempt > 1 and facts.reason:
        parts.append(
            f"**Asked again (attempt {facts.attempt}).** The last answer was not taken:\n{_block(facts.reason)}"
        )
    elif facts.reason:
        parts.append(f"**{_TROUBLE.get(facts.state, 'Note')}**\n{_block(facts.reason)}")
    if task.approval is not None and task.approval.needed > 1:
        so_far = f"; so far: {', '.join(facts.approved_by)}" if facts.approved_by else ""
        parts.append(f"**{task.approval.needed} different people must approve this**{so_far}.")
    if task.instructions:
        parts.append(task.instructions.strip())
    if facts.parameters is not None:
        shown = json.dumps(facts.parameters, indent=2, ensure_ascii=False, sort_keys=True)
        parts.append(f"**{task.action} will run with exactly these parameters:**\n{_block(shown)}")
    elif task.action is not None and facts.state == "open":
        parts.append(f"**A parameter of {task.action} has no value, so it cannot run.** Reject, and do it by hand.")
    return "\n\n".join(parts)


def read(task: model.Task, raw: Mapping[str, object]) -> Answer:
    """Read what the Prefect server accepted."""
    return Answer(
        decision=str(raw.get(DECISION) or "done"),
        signed_by=str(raw.get(SIGNED_BY) or ""),
        take_over=bool(raw.get(TAKE_OVER)),
        note=str(raw[NOTE]) if raw.get(NOTE) else None,
        code=str(raw[CODE]) if raw.get(CODE) else None,
        values={name: raw[name] for name in (task.form or {}) if raw.get(name) is not None},
    )


_NO_QUESTIONS: Mapping[str, object] = {"properties": {}, "required": []}

_TROUBLE = {
    "failed": "The action failed. Retry it, do the work by hand and say done, or skip it.",
    "unknown_outcome": (
        "The action was interrupted and may or may not have taken effect. Look, then say done if it happened, "
        "or retry if it did not."
    ),
}


_CODE: dict[str, object] = {
    "title": "Code",
    "type": "string",
    "description": "The eight digits that were sent to you as a text message. Leave it empty to get them.",
}


def _signed_by(people: Sequence[str]) -> dict[str, object]:
    asked: dict[str, object] = {"title": "Signed by", "type": "string", "description": "Your own handle."}
    if 0 < len(people) <= _LONGEST_LIST:
        asked["enum"] = list(people)
    return asked


def _block(text: str) -> str:
    """Return the text as a Markdown code block, which nothing inside it can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
