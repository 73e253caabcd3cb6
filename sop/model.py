"""The SOP file as frozen models; the descriptions are what an editor shows while one writes.

Each model holds the shape of one element. How elements go together (keys that are unique,
dependencies that exist) is in `sop.rules`; what the outside must offer is in `sop.checks`.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal, NoReturn

from pydantic import Field, JsonValue

from sop.elements import (
    FIELD_PATTERN,
    KEY_PATTERN,
    SEVERITIES,
    Body,
    Condition,
    Duration,
    Element,
    FieldName,
    Key,
    Line,
    OwnerRule,
    Severity,
)
from sop.owners import APPROVER_PATTERN
from sop.times import Deadline, Ladder, Lead, Rung, Sla, SlaRule

__all__ = [
    "FIELD_PATTERN",
    "KEY_PATTERN",
    "SEVERITIES",
    "Approval",
    "Deadline",
    "Element",
    "FieldType",
    "FormField",
    "Kind",
    "Rung",
    "Severity",
    "Sla",
    "Sop",
    "Stage",
    "Task",
]

Kind = Literal["action", "manual", "form", "approval"]
LinkDecision = Literal["done", "approve", "reject", "skip"]
FieldType = Literal["text", "longtext", "choice", "multichoice", "yesno", "number", "date", "datetime"]


class FormField(Element):
    """One question of a form."""

    type: FieldType
    """What kind of answer: text, longtext, choice, multichoice, yesno, number, date or datetime."""
    label: Line | None = None
    """The question as the person reads it; without it, the field's name is shown."""
    help: Annotated[str, Field(max_length=1_000)] | None = None
    """A sentence under the question."""
    options: Annotated[tuple[Line, ...], Field(strict=False)] = ()
    """The answers to choose from; only for `choice` and `multichoice`."""
    required: bool = False
    """Whether the task can only be completed with an answer."""


class Approval(Element):
    """Who must agree before the task counts as done, or before its action runs."""

    from_: Annotated[str, Field(alias="from", pattern=APPROVER_PATTERN)]
    """Who may approve: `role:ROLE` or `user:HANDLE`."""
    not_requester: bool = False
    """Four eyes: the person who opened the case may not approve."""
    not_executor: bool = False
    """Four eyes: who did a task it depends on may not approve; who approved may do no task that depends on it, nor its
    action by hand."""
    needed: Annotated[int, Field(ge=1, le=10)] = 1
    """How many different people must approve; one who rejects is enough to reject."""
    sign_off_code: bool = False
    """Whether they sign with a code that is sent to them by text message."""


class Task(Element):
    """One step: an action that runs by itself, something a person does, a form, or an approval."""

    key: Key
    """Unique in the whole SOP; conditions say `tasks.KEY`, with `_` for `-`."""
    title: Line
    """What is done, as one line that starts with a verb."""
    owner: OwnerRule = "case-owner"
    """Who does it: `role:ROLE`, `user:HANDLE` or `case-owner`."""
    sla: SlaRule | None = None
    """How long it may take, counted from when the task opens: `2d`, or by severity `{critical: 30m, otherwise: 8h}`."""
    warn: Lead | None = None
    """How long before its due time its owner is warned: `30m`, or `20%` of its SLA; without it, as the SOP says."""
    escalation: Ladder | None = None
    """Who is told that it is late, and when; without it, as the SOP says. `[]`: nobody but its owner, once."""
    instructions: Body = ""
    """How it is done, in Markdown."""
    depends_on: Annotated[tuple[Key, ...], Field(strict=False)] = ()
    """Tasks of the same stage that must be closed first; stages already run one after another."""
    when: Condition | None = None
    """Only if this is true is the task done; otherwise it is not applicable."""
    form: Annotated[dict[FieldName, FormField], Field(min_length=1)] | None = None
    """Questions to answer; conditions read the answers as `tasks.KEY.FIELD`."""
    note_required: bool = False
    """Whether a note is needed to complete the task."""
    mandatory: bool = False
    """Whether the task may not be skipped."""
    by_link: Annotated[tuple[LinkDecision, ...], Field(strict=False)] = ()
    """What its owner may decide by the link in a message, without logging in; whoever has the message has the link."""
    approval: Approval | None = None
    """Who must agree; with an action, it then runs with exactly the parameters that were approved."""
    action: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$", max_length=80)] | None = None
    """The automated action that does the work, such as `observables.extract`."""
    with_: Annotated[dict[str, JsonValue], Field(alias="with")] = {}  # noqa: RUF012 - pydantic copies it
    """The action's parameters; text is a CEL expression, so literal text has inner quotes: `"'text'"`."""
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """How often a failed action is tried again."""
    retry_delay: Duration = timedelta(seconds=10)
    """How long to wait before trying again."""
    timeout: Duration = timedelta(minutes=5)
    """How long the action may take."""

    @property
    def kind(self) -> Kind:
        """Say what the task is: an approval may also have an action, which runs once approved."""
        if self.approval is not None:
            return "approval"
        if self.action is not None:
            return "action"
        return "manual" if self.form is None else "form"

    @property
    def name(self) -> str:
        """Return the key as conditions write it."""
        return self.key.replace("-", "_")


class Stage(Element):
    """A phase of the response; stages run one after another."""

    key: Key
    """Unique among the stages."""
    title: Line
    """What the stage is about, as one line."""
    sla: SlaRule | None = None
    """How long the stage may take, counted from when it starts; by severity as in tasks."""
    when: Condition | None = None
    """Only if this is true is the stage run; it may name tasks of earlier stages."""
    tasks: Annotated[tuple[Task, ...], Field(strict=False, min_length=1, max_length=200)]
    """What is done; tasks of a stage run side by side unless `depends_on` says otherwise."""


class Sop(Element):
    """A standard operating procedure: what must be done about one kind of incident."""

    sop: Key
    """The SOP's key; its Prefect flow and deployment bear this name."""
    version: Annotated[int, Field(ge=1)]
    """Counted up with every change; a case stays on the version it was opened with."""
    title: Line
    """What kind of incident this is for, as one line."""
    summary: Body = ""
    """When to use it and what it achieves, in Markdown."""
    severity: Severity = "medium"
    """The severity of a new case, unless the alert or the person says otherwise."""
    owner: OwnerRule = "role:analyst"
    """Who owns a new case: `role:ROLE` or `user:HANDLE`."""
    sla: SlaRule | None = None
    """How long the whole case may take, counted from when it is opened; by severity as in tasks."""
    hours: Key | None = None
    """The calendar of `calendars.yaml` whose working time SLAs count; without it, and for critical cases, all time."""
    warn: Lead | None = None
    """How long before its due time the owner of a task is warned: `30m`, or `20%` of its SLA."""
    escalation: Ladder = ()
    """The ladder of every task with an SLA: who is told that it is late, and when."""
    deadlines: Annotated[tuple[Deadline, ...], Field(strict=False, max_length=20)] = ()
    """What a law or a contract demands by a time, whatever hours are worked."""
    match: Condition | None = None
    """Which alerts this SOP is for; it may name `alert` only."""
    stages: Annotated[tuple[Stage, ...], Field(strict=False, min_length=1, max_length=50)]
    """The phases of the response, in order."""

    @property
    def key(self) -> str:
        """Return the SOP's key."""
        return self.sop

    def tasks(self) -> Iterator[tuple[Stage, Task]]:
        """Yield every task with its stage, in the order of the file."""
        for stage in self.stages:
            for task in stage.tasks:
                yield stage, task

    def stage(self, key: str) -> Stage:
        """Return the stage of that key; `KeyError` when there is none."""
        return next((stage for stage in self.stages if stage.key == key), None) or _missing(key)

    def task(self, key: str) -> Task:
        """Return the task of that key; `KeyError` when there is none."""
        return next((task for _, task in self.tasks() if task.key == key), None) or _missing(key)


def _missing(key: str) -> NoReturn:
    raise KeyError(key)
