"""Events about tasks and the runs of their actions."""

from __future__ import annotations

from typing import Final

from case_store.audit.catalogue.answers import PROOF
from case_store.audit.catalogue.cases import ANSWERED, STOOD, WHY
from case_store.audit.catalogue.kinds import (
    BEGIN,
    COUNT,
    CREATE,
    END,
    FLAG,
    RESUME,
    SHA256,
    SUSPEND,
    TEXT,
    UPDATE,
    Fact,
    Kind,
    kind,
)

_SIGNED_BY: Final = Fact("signed_by", TEXT, "The handle of the person who decided.", personal="yes")
_VIA: Final = Fact("via", TEXT, "The channel by which they did: cli, prefect and so on.")
_SIGNED: Final = (_SIGNED_BY, _VIA)
_TO: Final = Fact("to", TEXT, "The handle of the person whose task it is now.", personal="yes")
_EXECUTION: Final = Fact("execution", COUNT, "The number of the action's run, from 1 in each task.")

_RUNG: Final = (
    Fact("rung", COUNT, "The number of the rung, from 1."),
    Fact("to", TEXT, "Whom the SOP names for it."),
    Fact("missed", "list of whole numbers", "The rungs before it that nobody was told of in time."),
    Fact("told", "list of ids", "The people who are told."),
    Fact("substitute", FLAG, "Whether they are told because nobody of the rung was found."),
)

KINDS: Final[tuple[Kind, ...]] = (
    kind("task.planned", CREATE, "A task of the SOP became a task of the case.", about="task"),
    kind("task.condition_met", UPDATE, "It was decided that a task is to be done.", *ANSWERED, about="task"),
    kind(
        "task.not_applicable",
        END,
        "It was decided that a task is not to be done.",
        *ANSWERED,
        Fact("stage", TEXT, "The key of its stage, when that does not apply as a whole."),
        about="task",
    ),
    kind(
        "task.opened",
        BEGIN,
        "A task was given to its owner and waits for a person.",
        Fact("owner_rule", TEXT, "Whom the SOP gives it to: `role:NAME` or `user:HANDLE`."),
        about="task",
    ),
    kind(
        "task.assigned",
        UPDATE,
        "A task of a role became the task of the person who decides on it.",
        _TO,
        Fact("role", TEXT, "The role it belonged to."),
        about="task",
    ),
    kind("task.reassigned", UPDATE, "Somebody handed a task over to another person.", _TO, about="task"),
    kind(
        "task.taken_over",
        UPDATE,
        "Somebody took over the task of another.",
        Fact("by", TEXT, "The handle of the person who took it.", personal="yes"),
        Fact("from", TEXT, "The handle of the owner before, or the role.", personal="sometimes"),
        about="task",
    ),
    kind(
        "task.acknowledged",
        UPDATE,
        "Somebody said that they take care of a task.",
        Fact("who", TEXT, "Their handle.", personal="yes"),
        _VIA,
        about="task",
    ),
    kind("task.paused", SUSPEND, "The clock of a task stands still.", about="task"),
    kind("task.resumed", RESUME, "The clock of a task goes on.", *STOOD, about="task"),
    kind("task.rescheduled", UPDATE, "The clock of a task was changed.", WHY, about="task"),
    kind("task.warned", UPDATE, "People were told that a task will soon be late.", *_RUNG, about="task"),
    kind("task.escalated", UPDATE, "The people of a rung were told that a task is late.", *_RUNG, about="task"),
    kind(
        "task.parameters_changed",
        UPDATE,
        "What an approval is about was determined anew.",
        Fact("sha256", SHA256, "The hash of the parameters, by which they could be guessed.", personal="yes"),
        about="task",
    ),
    kind("task.overdue", UPDATE.failed, "A task was not closed in time.", about="task"),
    kind("task.completed", END, "A person did a task.", *_SIGNED, about="task"),
    kind("task.done_by_hand", END, "A person did what an action should have done.", *_SIGNED, about="task"),
    kind("task.approved", END, "A person approved.", *_SIGNED, about="task"),
    kind("task.rejected", END, "A person refused to approve.", *_SIGNED, *PROOF, about="task"),
    kind("task.skipped", END, "A person decided that a task is left out.", *_SIGNED, *PROOF, about="task"),
    kind(
        "task.retried",
        BEGIN,
        "A person had an action run once more.",
        *_SIGNED,
        Fact("was", TEXT, "The state before: failed or unknown_outcome."),
        Fact("reason", TEXT, "What had gone wrong.", personal="yes"),
        about="task",
    ),
    kind("task.started", BEGIN, "An action began.", _EXECUTION, about="task"),
    kind("task.done", END, "An action succeeded.", _EXECUTION, about="task"),
    kind("task.failed", END.failed, "An action failed, and a person is asked.", _EXECUTION, about="task"),
    kind(
        "task.unknown_outcome", END.unknown, "Nobody knows whether an action had its effect.", _EXECUTION, about="task"
    ),
    kind("task.cancelled", END, "A task was called off because its case ended.", about="task"),
    kind(
        "task.reopened",
        BEGIN,
        "A task that was called off waits again, because its case was opened again.",
        about="task",
    ),
    kind("execution.started", BEGIN, "A run of an action began.", about="execution"),
    kind(
        "execution.ended",
        END,
        "A run of an action ended.",
        Fact("evidence", "list of SHA-256 (hexadecimal)", "The hashes of what it attached."),
        about="execution",
    ),
    kind(
        "execution.given_up",
        END.failed,
        "A run of an action was interrupted and will not end any more.",
        about="execution",
    ),
)
