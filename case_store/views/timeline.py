"""What happened in a case, told from its audit events.

Rows only ever come at the end, so whoever follows a case shows those that are new. The engine's bookkeeping (what was
planned, the states of runs that go as they should) is left out; the audit trail has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import select

from case_store.actor import Actor
from case_store.audit import private
from case_store.audit.ledger import stream_of
from case_store.models import AuditEvent, Case
from case_store.store import Tx
from case_store.views.case_page import ActorNames, actor_names

Body = Mapping[str, Any]

MAX_DETAIL: Final = 300
_TROUBLE: Final = frozenset({"FAILED", "CRASHED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One thing that happened.

    Attributes:
        at: When.
        who: A handle, a part of the system, or "engine".
        what: What happened, with the title of what it happened to.
        detail: What else is worth knowing, in one line; empty if nothing is.
    """

    at: datetime
    who: str
    what: str
    detail: str


async def timeline(tx: Tx, case: Case) -> list[TimelineRow]:
    """Return what happened in a case, the oldest first."""
    wanted = select(AuditEvent).where(AuditEvent.stream == stream_of(case)).order_by(AuditEvent.id)
    found = (await tx.session.scalars(wanted)).all()
    bodies = await private.read(tx, [event.body for event in found])
    events: list[tuple[datetime, Body]] = [(event.ts, body) for event, body in zip(found, bodies, strict=True)]
    names = await actor_names(tx)
    titles: dict[str, str] = {}
    rows: list[TimelineRow] = []
    for _, together in groupby(events, key=lambda event: _occasion(event[1])):
        group = list(together)
        for _, body in group:
            _learn(titles, body)
        rows += _rows(group, titles, names)
    return rows


def _occasion(body: Body) -> tuple[str, str]:
    # What one transaction found belongs into one row; anything else stands for itself.
    return (body["type"], body["request_id"] if body["type"] == "observable.added" else body["event_id"])


def _learn(titles: dict[str, str], body: Body) -> None:
    title = _after(body, "title")
    if body["entity"] and body["entity"]["type"] == "deadline":
        title = _after(body, "name")
    if body["entity"] and title:
        titles[body["entity"]["id"]] = title


def _rows(group: list[tuple[datetime, Body]], titles: Mapping[str, str], names: ActorNames) -> Iterator[TimelineRow]:
    at, body = group[0]
    tell = _STORIES.get(body["type"])
    if tell is None or (body["type"] == "run.state" and body["facts"]["state_type"] not in _TROUBLE):
        return
    what, detail = tell([one for _, one in group]) if body["type"] == "observable.added" else tell(body)
    title = titles.get(body["entity"]["id"] if body["entity"] else body["facts"].get("task_id"))
    if (recipient := body["facts"].get("recipient_id")) is not None:
        what = f"{what} for {names.of(Actor('person', recipient))}"
    who = names.of(Actor(body["actor"]["kind"], body["actor"]["id"]))
    yield TimelineRow(at, who, f"{what}: {title}" if title else what, _short(detail))


def _after(body: Body, name: str) -> Any:  # noqa: ANN401 - a JSON value
    return body["changes"].get(name, (None, None))[1]


def _short(detail: str) -> str:
    line = " ".join(detail.split())
    return line if len(line) <= MAX_DETAIL else line[: MAX_DETAIL - 1] + "…"


# ---- how each kind of event is told: what happened, and the detail --------------------------------------------------

_Story = tuple[str, str]
_Teller = Callable[[Any], _Story]


def _told(what: str, *details: Callable[[Body], str]) -> _Teller:
    return lambda body: (what, "; ".join(filter(None, (detail(body) for detail in details))))


def _signed(body: Body) -> str:
    facts = body["facts"]
    return f"signed by {facts['signed_by']} via {facts['via']}" if "signed_by" in facts else ""


def _answers(body: Body) -> str:
    values = _after(body, "form_values") or {}
    if isinstance(values, str):  # erased
        return values
    return ", ".join(f"{name}: {_word(value)}" for name, value in values.items() if value is not None)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _reason(body: Body) -> str:
    return str(_after(body, "reason") or body["facts"].get("reason") or "")


def _fact(name: str, words: str = "{}") -> Callable[[Body], str]:
    return lambda body: words.format(body["facts"][name]) if body["facts"].get(name) else ""


def _change(name: str, words: str = "{}") -> Callable[[Body], str]:
    return lambda body: words.format(_after(body, name)) if _after(body, name) is not None else ""


def _number_of(body: Body) -> str:
    return f"{body['facts']['number']} of {body['facts']['needed']}"


def _due(body: Body) -> str:
    due_at = _after(body, "due_at")
    return f"due {datetime.fromisoformat(due_at):%Y-%m-%d %H:%M} UTC" if due_at else ""


def _people(body: Body) -> str:
    number = len(body["facts"].get("told", ()))
    return f"{number} {'person' if number == 1 else 'people'} told"


def _edits(body: Body) -> str:
    told = ("severity", "title")
    edits = [f"{name} {old} → {new}" for name, (old, new) in body["changes"].items() if name in told]
    return ", ".join(edits + (["another owner"] if "owner_id" in body["changes"] else []))


def _found(bodies: list[Body]) -> _Story:
    values = [f"{_after(body, 'type')} {_after(body, 'value')}" for body in bodies]
    return (f"{len(values)} observable{'s' if len(values) > 1 else ''} found", ", ".join(values))


def _state_of_run(body: Body) -> _Story:
    facts = body["facts"]
    return (f"run {facts['state_name'].lower()}: {facts['run_name']}", facts.get("message") or "")


def _message(words: str) -> _Teller:
    return lambda body: (f"{body['facts']['channel']} {words}", body["facts"].get("error") or "")


_STORIES: Final[dict[str, _Teller]] = {
    "case.opened": _told("case opened", _change("sop_key", "SOP {}"), _change("severity", "severity {}")),
    "case.edited": _told("case changed", _edits),
    "case.completed": _told("case completed"),
    "case.closed": _told("case closed", _change("resolution")),
    "case.cancelled": _told("case cancelled", _change("resolution")),
    "case.held": _told("case held", _change("legal_hold")),
    "case.released": _told("case no longer held"),
    "privacy.erased": _told("personal values erased", _fact("basis")),
    "case.reopened": _told("case re-opened", _reason),
    "stage.condition_met": _told("stage applies"),
    "stage.not_applicable": _told("stage does not apply"),
    "stage.started": _told("stage started"),
    "stage.finished": _told("stage finished"),
    "stage.cancelled": _told("stage cancelled"),
    "task.condition_met": _told("task applies"),
    "task.not_applicable": _told("task does not apply"),
    "task.opened": _told("task waits for a person", _due),
    "task.assigned": _told("task assigned", _fact("to", "to {}")),
    "task.reassigned": _told("task reassigned", _fact("to", "to {}")),
    "task.taken_over": _told("task taken over", _fact("from", "from {}")),
    "task.overdue": _told("task overdue"),
    "task.warned": _told("task due soon", _people),
    "task.escalated": _told(
        "task escalated",
        _fact("rung", "rung {}"),
        _fact("to", "to {}"),
        _people,
        _fact("missed", "in place of rungs {}"),
    ),
    "task.paused": _told("the time of the task stands still", _change("pause_reason")),
    "task.resumed": _told("the time of the task goes on", _due),
    "task.rescheduled": _told("task has another due time", _due, _fact("why")),
    "stage.rescheduled": _told("stage has another due time", _due, _fact("why")),
    "stage.overdue": _told("stage overdue"),
    "case.overdue": _told("case overdue"),
    "case.paused": _told("the time of the case stands still", _change("pause_reason")),
    "case.resumed": _told("the time of the case goes on", _due),
    "deadline.begun": _told("deadline begins", _change("name"), _due),
    "deadline.moved": _told("deadline counts from another moment", _due),
    "deadline.warned": _told("deadline comes near"),
    "deadline.missed": _told("deadline missed"),
    "deadline.not_needed": _told("deadline demands nothing here", _fact("task", "the task {} does not apply")),
    "deadline.met": _told("deadline met", _fact("who", "by {}"), _change("how")),
    "task.acknowledged": _told("task acknowledged", _fact("who", "by {}"), _fact("via", "via {}")),
    "task.completed": _told("task completed", _answers, _signed),
    "task.done_by_hand": _told("task done by hand", _answers, _signed),
    "task.approved": _told("approved", _signed),
    "approval.given": _told("approval given", _fact("who", "by {}"), _number_of, _fact("verified_by", "code by {}")),
    "approval.voided": _told("approval void: the parameters have changed"),
    "code.sent": _told("code to sign sent", _fact("who", "to {}"), _fact("channel", "by {}")),
    "code.wrong": _told("wrong code", _fact("who", "for {}")),
    "code.verified": _told("code verified", _fact("name"), _fact("who", "({})"), _fact("channel", "by {}")),
    "task.parameters_changed": _told("parameters changed", _fact("sha256", "SHA-256 {}")),
    "task.rejected": _told("rejected", _signed),
    "task.skipped": _told("task skipped", _reason, _signed),
    "task.retried": _told("task tried again", _reason, _signed),
    "task.cancelled": _told("task cancelled"),
    "task.started": _told("action started"),
    "task.done": _told("action done"),
    "task.failed": _told("action failed", _reason),
    "task.unknown_outcome": _told("nobody knows whether the action worked", _reason),
    "execution.given_up": _told("a run of the action was given up"),
    "alert.linked": _told("alert linked"),
    "alert.repeated": _told("alert came again"),
    "evidence.attached": _told("evidence attached", _change("name"), _change("sha256", "SHA-256 {}")),
    "observable.added": _found,
    "note.added": _told("note written", _change("body")),
    "note.revised": _told("note revised", _change("body")),
    "notification.sent": _message("sent"),
    "notification.failed": _message("not sent"),
    "notification.unknown": _message("perhaps sent"),
    "notification.delivered": _message("delivered"),
    "notification.cancelled": _message("taken back"),
    "notification.in_digest": _message("told in a digest"),
    "notification.fell_over": _message("promised another way"),
    "notification.retried": _message("sent again by hand"),
    "run.state": _state_of_run,
    "audit.exported": _told("record exported"),
}
