"""Whatever happens to a case, stage or task: what is closed stays closed unless the case is re-opened."""

from hypothesis import given
from hypothesis import strategies as st

from case_store import lifecycle
from case_store.lifecycle import Kind, NotAllowedNow

KINDS: tuple[Kind, ...] = ("case", "stage", "task")
STATES = sorted(set().union(*lifecycle.TABLES.values()))
STEPS = st.lists(st.tuples(st.sampled_from(STATES), st.booleans()), max_size=30)


@given(kind=st.sampled_from(KINDS), steps=STEPS)
def test_no_path_leaves_a_closed_state_except_reopening(kind: Kind, steps: list[tuple[str, bool]]) -> None:
    state = "open" if kind == "case" else "waiting"
    for wanted, reopening in steps:
        was_closed = lifecycle.closed(kind, state)
        try:
            lifecycle.check(kind, state, wanted, name="it", reopening=reopening)
        except NotAllowedNow:
            continue
        assert not was_closed or reopening
        assert was_closed or not reopening
        state = wanted


@given(kind=st.sampled_from(KINDS), data=st.data())
def test_from_every_open_state_a_closed_one_can_be_reached(kind: Kind, data: st.DataObject) -> None:
    table = lifecycle.TABLES[kind]
    state = data.draw(st.sampled_from(sorted(table)))
    reached = {state}
    while grown := {after for before in reached for after in table[before]} - reached:
        reached |= grown
    assert reached & lifecycle.CLOSED[kind]
