"""Events about cases and their stages."""

from __future__ import annotations

from typing import Final

from case_store.audit.catalogue.kinds import (
    BEGIN,
    COUNT,
    CREATE,
    END,
    FLAG,
    ID,
    READ,
    RESUME,
    SUSPEND,
    TEXT,
    UPDATE,
    Fact,
    Kind,
    kind,
)

CONDITION: Final = Fact("condition", TEXT, "The condition in the SOP (CEL); absent when there is none.")
NO_ANSWER: Final = Fact("no_answer", TEXT, "Why the condition had no answer, so that it counts as met.")
ANSWERED: Final = (CONDITION, NO_ANSWER)

STOOD: Final = (
    Fact("reason", TEXT, "Why they stood still.", personal="yes"),
    Fact("seconds", COUNT, "For how long, in seconds."),
)
WHY: Final = Fact("why", TEXT, "What changed it: paused, resumed, severity, ladder.")

KINDS: Final[tuple[Kind, ...]] = (
    kind(
        "case.opened",
        CREATE,
        "A case was opened by an SOP.",
        Fact("alert_id", ID, "The alert that it was opened for."),
        about="case",
    ),
    kind("case.edited", UPDATE, "What is said about a case was changed: title, severity or owner.", about="case"),
    kind("case.completed", END, "A case ended because all its stages are closed.", about="case"),
    kind("case.closed", END, "Somebody closed a case before its SOP came to its end.", about="case"),
    kind("case.cancelled", END, "Somebody called a case off.", about="case"),
    kind(
        "case.reopened",
        BEGIN,
        "A case that had ended was opened again.",
        Fact("reason", TEXT, "Why.", personal="yes"),
        Fact("was", TEXT, "The state before: closed or cancelled."),
        Fact("resolution", TEXT, "How it had ended.", personal="yes"),
        about="case",
    ),
    kind("case.held", UPDATE, "A case was put under a legal hold: nothing in it is erased.", about="case"),
    kind("case.released", UPDATE, "A case is no longer under a legal hold.", about="case"),
    kind(
        "case.restricted",
        UPDATE,
        "Only some people may see a case from now on.",
        Fact("reason", TEXT, "Why.", personal="yes"),
        about="case",
    ),
    kind(
        "case.unrestricted",
        UPDATE,
        "Everybody may see a case again.",
        Fact("reason", TEXT, "Why.", personal="yes"),
        about="case",
    ),
    kind(
        "case.read",
        READ,
        "Somebody was shown a case that is restricted.",
        Fact("export", ID, "The event of the export that it is in, where it was shown by one of more than this case."),
        streams="case",
    ),
    kind("access.refused", READ.failed, "Somebody asked for a case that they may not see.", streams="case"),
    kind("case.paused", SUSPEND, "The clocks of a case stand still.", about="case"),
    kind("case.resumed", RESUME, "The clocks of a case go on.", *STOOD, about="case"),
    kind("case.overdue", UPDATE.failed, "A case was not closed in time.", about="case"),
    kind("deadline.begun", CREATE, "A deadline that a law or a contract sets runs for a case.", about="deadline"),
    kind("deadline.moved", UPDATE, "A deadline counts from another moment.", about="deadline"),
    kind("deadline.warned", UPDATE, "A deadline comes near, and people were told.", about="deadline"),
    kind("deadline.missed", UPDATE.failed, "A deadline was not met in time.", about="deadline"),
    kind(
        "deadline.met",
        END,
        "What a deadline demands was done.",
        Fact("late", FLAG, "Whether it was done too late."),
        Fact("who", TEXT, "The handle of the person who says so.", personal="yes"),
        about="deadline",
    ),
    kind(
        "deadline.not_needed",
        END,
        "The task that would meet a deadline is not to be done.",
        Fact("task", TEXT, "The key of the task."),
        about="deadline",
    ),
    kind("stage.overdue", UPDATE.failed, "A stage was not finished in time.", about="stage"),
    kind("stage.rescheduled", UPDATE, "The clock of a stage was changed.", WHY, about="stage"),
    kind("stage.planned", CREATE, "A stage of the SOP became a stage of the case.", about="stage"),
    kind("stage.condition_met", UPDATE, "It was decided that a stage applies.", *ANSWERED, about="stage"),
    kind("stage.not_applicable", END, "It was decided that a stage does not apply.", *ANSWERED, about="stage"),
    kind("stage.started", BEGIN, "Work on a stage began.", about="stage"),
    kind("stage.finished", END, "All tasks of a stage are closed.", about="stage"),
    kind("stage.cancelled", END, "A stage was called off because its case ended.", about="stage"),
    kind(
        "stage.reopened",
        BEGIN,
        "A stage that was called off goes on, because its case was opened again.",
        about="stage",
    ),
)
