"""The plan for a stage: never stuck, never too early, and the same whichever way the facts are told."""

from hypothesis import given
from hypothesis import strategies as st

from case_store import lifecycle
from case_store.progress import TaskFacts, ready
from sop.model import Approval, FormField, Stage, Task


@st.composite
def tasks(draw: st.DrawFn, number: int) -> Task:
    """Draw a task of any kind that may depend on tasks before it."""
    kind = draw(st.sampled_from(["manual", "form", "action", "approval", "approval+action"]))
    before = [f"t{index}" for index in range(number)]
    return Task(
        key=f"t{number}",
        title="Do it",
        when=draw(st.sampled_from([None, "true"])),
        depends_on=tuple(draw(st.lists(st.sampled_from(before), unique=True))) if before else (),
        form={"answer": FormField(type="text")} if kind == "form" else None,
        action="note.add" if "action" in kind else None,
        approval=Approval(from_="role:manager") if "approval" in kind else None,
    )


@st.composite
def stages(draw: st.DrawFn) -> Stage:
    """Draw a stage whose tasks stand in any order, so that a dependency may come later in the file."""
    drawn = [draw(tasks(number)) for number in range(draw(st.integers(1, 7)))]
    return Stage(key="stage", title="Stage", tasks=tuple(draw(st.permutations(drawn))))


def facts(draw: st.DrawFn, task: Task) -> TaskFacts:
    """Draw facts that the verbs can bring about for this task."""
    state = draw(st.sampled_from(sorted(lifecycle.TASK)))
    if state == "not_applicable":
        return TaskFacts(state, condition_met=False)
    known = task.when is not None and (state not in {"waiting", "cancelled", "skipped"} or draw(st.booleans()))
    approved = task.approval is not None and state in {"waiting", "running", "failed"} and draw(st.booleans())
    return TaskFacts(state, "approved" if approved else None, True if known else None)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Stage, dict[str, TaskFacts]]:
    """Draw a stage and what is known about its tasks."""
    stage = draw(stages())
    return stage, {task.key: facts(draw, task) for task in stage.tasks}


@given(situations())
def test_never_stuck(situation: tuple[Stage, dict[str, TaskFacts]]) -> None:
    stage, states = situation
    plan = ready(stage, states)
    assert plan.can_move or plan.running or plan.waiting_on_people or plan.done
    assert not (plan.done and (plan.can_move or plan.running or plan.waiting_on_people))


@given(situations())
def test_nothing_starts_before_what_it_depends_on_is_closed(situation: tuple[Stage, dict[str, TaskFacts]]) -> None:
    stage, states = situation
    plan = ready(stage, states)
    by_key = {task.key: task for task in stage.tasks}
    for key in plan.decide + plan.run + plan.ask:
        assert states[key].state == "waiting"
        assert all(lifecycle.closed("task", states[before].state) for before in by_key[key].depends_on)


@given(situations())
def test_each_task_is_in_one_place_and_of_the_right_kind(situation: tuple[Stage, dict[str, TaskFacts]]) -> None:
    stage, states = situation
    plan = ready(stage, states)
    planned = plan.decide + plan.run + plan.ask
    assert len(planned) == len(set(planned))
    by_key = {task.key: task for task in stage.tasks}
    for key in plan.run:
        assert by_key[key].action
        assert by_key[key].approval is None or states[key].decision == "approved"
    for key in plan.ask:
        assert by_key[key].kind != "action"
        assert not (by_key[key].action and states[key].decision == "approved")
    for key in plan.decide:
        assert by_key[key].when is not None


@given(situations(), st.randoms())
def test_the_order_in_which_the_facts_are_told_does_not_matter(
    situation: tuple[Stage, dict[str, TaskFacts]], random: "object"
) -> None:
    stage, states = situation
    keys = list(states)
    random.shuffle(keys)  # type: ignore[attr-defined]
    assert ready(stage, {key: states[key] for key in keys}) == ready(stage, states)


@given(stages(), st.data())
def test_following_the_plan_ends_with_everything_closed(stage: Stage, data: st.DataObject) -> None:
    """Whatever conditions, actions and people answer, and in whichever order, a stage comes to its end."""
    states = {task.key: TaskFacts("waiting") for task in stage.tasks}
    by_key = {task.key: task for task in stage.tasks}
    for _ in range(20 * len(stage.tasks)):
        plan = ready(stage, states)
        if plan.done:
            return
        moves = [("decide", key) for key in plan.decide] + [("run", key) for key in plan.run]
        moves += [("ask", key) for key in plan.ask] + [("end", key) for key in plan.running]
        moves += [("answer", key) for key in states if states[key].state in lifecycle.ASKS_A_PERSON]
        move, key = data.draw(st.sampled_from(moves))
        states[key] = _after(move, by_key[key], states[key], data)
    raise AssertionError(f"no end: {states}")


def _after(move: str, task: Task, now: TaskFacts, data: st.DataObject) -> TaskFacts:
    if move == "decide":
        met = data.draw(st.booleans())
        return TaskFacts("waiting" if met else "not_applicable", now.decision, met)
    if move in {"run", "ask"}:
        after = "running" if move == "run" else "open"
        assert lifecycle.allowed("task", now.state, after)
        return TaskFacts(after, now.decision, now.condition_met)
    if move == "end":
        return TaskFacts(data.draw(st.sampled_from(["done", "failed"])), now.decision, now.condition_met)
    if now.state == "open" and task.approval is not None:
        approved = data.draw(st.booleans())
        if approved and task.action is not None:
            return TaskFacts("waiting", "approved", now.condition_met)
        return TaskFacts("done" if approved else "rejected", "approved" if approved else "rejected", now.condition_met)
    return TaskFacts("done", now.decision, now.condition_met)
