"""A state that a run of a case entered, as Prefect's events and its API tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.events import Event

from case_store.audit import RunState
from flows import run_events


@dataclass(frozen=True, slots=True)
class Seen:
    """A state that a run of a case entered; `number` is the case's."""

    number: int
    at: datetime
    state: RunState

    @property
    def cancels(self) -> bool:
        """Say whether somebody cancelled a flow run; the run of a case that is cancelled ends in a name of its own."""
        return self.state.run_kind == "flow-run" and self.state.state_name in {"Cancelling", "Cancelled"}


def from_event(number: int, event: Event) -> Seen:
    """Return the state that an event tells of; the event's id is the state's id."""
    resource = event.resource
    state = RunState(
        state_id=str(event.id),
        run_kind="flow-run" if run_events.is_flow_run(event) else "task-run",
        run_id=str(run_events.run_id(event)),
        run_name=resource.get("prefect.resource.name") or "",
        state_type=resource["prefect.state-type"],
        state_name=resource.get("prefect.state-name") or "",
        message=resource.get("prefect.state-message") or None,
    )
    return Seen(number, event.occurred, state)


def from_api(number: int, run: FlowRun | TaskRun, state: State[Any]) -> Seen:
    """Return a state as Prefect's API has it."""
    return Seen(
        number,
        state.timestamp,
        RunState(
            state_id=str(state.id),
            run_kind="flow-run" if isinstance(run, FlowRun) else "task-run",
            run_id=str(run.id),
            run_name=run.name or "",
            state_type=state.type.value,
            state_name=state.name or "",
            message=state.message or None,
        ),
    )
