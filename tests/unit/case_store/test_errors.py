"""Every refusal says what and what next; what is temporary is a class of its own."""

import pytest

from case_store import errors
from case_store.actor import Actor
from case_store.errors import StoreError, StoreUnavailable, UnattributedChange
from case_store.ids import new_id

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StoreError)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_each_says_what_and_what_next(kind: type[StoreError]):
    error = kind()
    assert str(error) == (kind.__doc__ or "").strip()
    assert error.diagnostics() == f"{error}\n  next: {error.next_step}"
    assert kind.next_step


def test_message_and_next_step_of_the_moment_take_precedence():
    error = StoreError("CASE-7 is closed", next_step="re-open it")
    assert error.diagnostics() == "CASE-7 is closed\n  next: re-open it"
    assert StoreError.next_step != "re-open it"


def test_what_is_temporary_can_be_told_from_what_is_not():
    temporary = {kind.__name__ for kind in ALL if issubclass(kind, StoreUnavailable)}
    assert temporary == {"StoreUnavailable", "StoreBusy", "CommitUnknown", "ConcurrentChange", "NotSealed"}


@pytest.mark.parametrize("actor", [Actor.person("p-1"), Actor.system("relay"), Actor.run("f:1")])
def test_an_actor_is_read_back_from_its_text(actor: Actor):
    assert Actor.parse(str(actor)) == actor


@pytest.mark.parametrize("text", ["", "ann", "robot:r2", "person:"])
def test_a_text_that_names_nobody_is_refused(text: str):
    with pytest.raises(UnattributedChange):
        Actor.parse(text)


def test_ids_made_later_sort_later():
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(set(ids))
