"""What has to happen next in a stage. Pure: an SOP's stage and the facts about its tasks in, a plan out.

The plan depends on the facts alone, so a pass over a case may be repeated, interrupted or run twice without harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from case_store import lifecycle
from sop.model import Stage, Task


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What is known about one task.

    Attributes:
        state: See `lifecycle.TASK`.
        decision: What a person decided, such as "approved"; None before that.
        condition_met: The answer to the task's `when`; None until it was decided.
    """

    state: str
    decision: str | None = None
    condition_met: bool | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """What can be done now, in the order of the SOP file.

    Attributes:
        decide: Keys of tasks whose condition has to be decided.
        run: Keys of tasks whose action can be started (approved ones included).
        ask: Keys of tasks a person can now be asked to do or to decide.
        running: Keys of tasks whose action has been started and has not ended.
        waiting_on_people: Some task stays as it is until somebody decides.
        done: Every task is closed.
    """

    decide: tuple[str, ...]
    run: tuple[str, ...]
    ask: tuple[str, ...]
    running: tuple[str, ...]
    waiting_on_people: bool
    done: bool

    @property
    def can_move(self) -> bool:
        """Say whether the engine itself has something to begin now."""
        return bool(self.decide or self.run or self.ask)


def ready(stage: Stage, states: Mapping[str, TaskFacts]) -> Next:
    """Plan the next steps of a stage.

    Args:
        stage: The stage as the SOP has it.
        states: Facts about each of its tasks, by key.

    Raises:
        KeyError: A task of the stage has no facts.
    """
    ready_tasks = [task for task in stage.tasks if _may_start(task, states)]
    decide = tuple(task.key for task in ready_tasks if _undecided(task, states[task.key]))
    decided = [task for task in ready_tasks if task.key not in decide]
    run = tuple(task.key for task in decided if _runs(task, states[task.key]))
    return Next(
        decide=decide,
        run=run,
        ask=tuple(task.key for task in decided if task.key not in run),
        running=tuple(task.key for task in stage.tasks if states[task.key].state == "running"),
        waiting_on_people=any(states[task.key].state in lifecycle.ASKS_A_PERSON for task in stage.tasks),
        done=all(lifecycle.closed("task", states[task.key].state) for task in stage.tasks),
    )


def _may_start(task: Task, states: Mapping[str, TaskFacts]) -> bool:
    before = (states[key].state for key in task.depends_on)
    return states[task.key].state == "waiting" and all(lifecycle.closed("task", state) for state in before)


def _undecided(task: Task, facts: TaskFacts) -> bool:
    return task.when is not None and not facts.condition_met


def _runs(task: Task, facts: TaskFacts) -> bool:
    return task.action is not None and (task.approval is None or facts.decision == "approved")
