"""What happens to a task, from its condition to its end.

The engine decides conditions, asks people and runs actions; people decide. Every decision counts once, whoever repeats
it and from wherever: it re-reads the task under the lock of its case, and whoever comes second is told who was first.
"""

from case_store.tasks.acknowledging import acknowledge
from case_store.tasks.approvals import BY_LINK, given, parameters_of, parameters_sha256, refuse_without_code, renew
from case_store.tasks.decisions import approve, complete, reject, retry, skip
from case_store.tasks.executions import finish_action, running_execution, start_action
from case_store.tasks.opening import ask, decide_condition
from case_store.tasks.ownership import reassign, recipients, take_over

__all__ = [
    "BY_LINK",
    "acknowledge",
    "approve",
    "ask",
    "complete",
    "decide_condition",
    "finish_action",
    "given",
    "parameters_of",
    "parameters_sha256",
    "reassign",
    "recipients",
    "refuse_without_code",
    "reject",
    "renew",
    "retry",
    "running_execution",
    "skip",
    "start_action",
    "take_over",
]
