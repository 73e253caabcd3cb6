"""What the verbs refuse, each with what to do next. What may be tried again as it is, is in `errors`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from case_store.errors import StoreError


class NotFound(StoreError):
    """There is no such thing on record."""

    next_step = "look for it in the listing: casewright case list"


class AlreadyDecided(StoreError):
    """Somebody, or something, has already closed this task.

    Attributes:
        who: The handle of the person who decided; None when no person did.
        when: The moment of the decision.
        via: The channel it came through, None when no person decided.
    """

    next_step = "nothing is left to do here; what was decided is in the case: casewright case show NUMBER"

    def __init__(self, label: str, how: str, *, who: str | None, when: datetime | None, via: str | None) -> None:
        self.who, self.when, self.via = who, when, via
        moment = f" at {when:%Y-%m-%d %H:%M:%S} UTC" if when else ""
        super().__init__(f"{label} is already {how}{moment}" + (f", by {who} via {via}" if who else ""))


class NotYours(StoreError):
    """The task belongs to somebody else."""

    next_step = "take it over first (--take-over); that is recorded"


class NotApprover(StoreError):
    """Only those whom the SOP names may decide this, and nobody can take that over."""

    next_step = "ask one of them to decide"


class FourEyes(StoreError):
    """Whoever asked for it may not approve it."""

    next_step = "ask somebody else who may approve to decide"


class LinkRefused(StoreError):
    """A link cannot be used.

    Attributes:
        why: `unknown`, `used`, `revoked`, `expired`, `decided`, `changed` or `not_allowed`.
    """

    next_step = "decide in the Prefect UI, or ask whoever runs Casewright"

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(_LINKS[why])


_LINKS: Final = {
    "unknown": "this link is not one of ours, or not whole",
    "used": "this link was used before; each works once",
    "revoked": "this link was taken back",
    "expired": "this link has expired",
    "decided": "nothing is left to decide: the task was decided in another way, or waits for nobody",
    "changed": "what was asked has changed since the link was sent",
    "not_allowed": "this link does not allow that decision",
}


class PersonInactive(StoreError):
    """This person no longer works on cases."""

    next_step = "name a person who is active: casewright people list"


class DeadlineRefused(StoreError):
    """This cannot be said of the deadline."""

    next_step = "look at the deadlines of the case: casewright case show NUMBER"


class AbsenceRefused(StoreError):
    """Nobody can be away like that."""

    next_step = "name a later end, or another person to stand in"


class WrongKind(StoreError):
    """A task of this kind is closed in another way."""


class MandatoryTask(StoreError):
    """The SOP says that this task may not be skipped."""

    next_step = "complete it, or cancel the whole case with a reason"


class MandatoryTasksOpen(StoreError):
    """The case cannot be closed while tasks are open that the SOP makes mandatory."""

    next_step = "complete them first, or cancel the case with a reason"


class TextRequired(StoreError):
    """A few words are needed: a title, a reason, a note."""

    next_step = "say it in one or two sentences and try again"


class NobodyNamed(StoreError):
    """A case would be restricted to nobody."""

    next_step = "name people by handle, or roles as role:KEY, separated by commas"


class NotForYou(StoreError):
    """What is asked for holds cases that are restricted to others."""

    next_step = "have somebody do it who has the role auditor"


class StaleExecution(StoreError):
    """This run of the action has already ended, or a later one took its place."""

    next_step = "drop this result; what counts is in the task's later run"


class NotAsApproved(StoreError):
    """The action would run with other parameters than those that were approved."""

    next_step = "run it with exactly the approved parameters, or reject and ask again"


class CannotRewind(StoreError):
    """A sink is set back to a place that it has passed, and never forward: events would be left out."""

    next_step = "name a place that was delivered before; to begin anywhere else, set up a new sink"


class PassBusy(StoreError):
    """Another run is working on this case."""

    next_step = "leave it to that run: it reads every decision before it ends"


class AlertHasCase(StoreError):
    """This alert already belongs to a case."""


class TasksOpen(StoreError):
    """The stage still has tasks that are not closed."""

    next_step = "close them first"


class PeopleRefused(StoreError):
    """The list of people has mistakes; nothing was imported."""

    next_step = "correct the lines named above and import the list again"

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class NoSuchChannel(StoreError):
    """There is no such way to reach people."""

    next_step = "name a channel, such as email or sms"


class MessageRefused(StoreError):
    """What became of this message does not allow this."""

    next_step = "look at it first: casewright outbox list"


class CodeRequired(StoreError):
    """This is signed with a code that is sent to the signer by another channel."""

    next_step = (
        "ask for a code, then sign with it: casewright task code CASE/KEY; in a form, leave the code empty to get one"
    )


class CodeRefused(StoreError):
    """The code is not the one that was sent, or is good no more."""

    next_step = (
        "enter the digits of the newest message; to get another code leave it empty in the form,"
        " or run: casewright task code CASE/KEY"
    )


class NoOtherChannel(StoreError):
    """Nothing but the channel of the link reaches this person, so no code can be sent."""

    next_step = "add a phone number or an address to the list of people: casewright people import FILE"


class TooManyCodes(StoreError):
    """Another code is not sent so soon."""

    next_step = "enter the newest code, or wait and ask again; an hour has five codes at most"


class ParametersChanged(StoreError):
    """The parameters are not those that the approver saw."""

    next_step = "look at what is asked now, then decide again"


class AlreadyApproved(StoreError):
    """This person has approved it, and each approval is one of another person."""

    next_step = "ask another approver to decide"
