"""The demonstration against a Prefect that is played: who answers what, and what happens when it does not go on."""

import pytest

from case_store import cases, find, questions, tasks
from case_store.settings import Settings
from case_store.store import CaseStore
from console.demo import run as demo
from console.errors import DemoFailed
from console.output import Printer
from console.prefect_api import WaitingRun
from console.up import Site
from tests.console.conftest import ENGINE, NOW


class PlayedPrefect:
    """Shows forms for runs, and gives every answer to `taken`."""

    def __init__(self):
        self.runs, self.taken = [], {}
        self.when_answered = None

    async def waiting(self):
        return list(self.runs)

    async def form(self, run):
        names = ("source_address", "source_kind", "attempts", "signed_by", "note")
        return {"properties": {name: {} for name in names}, "required": ["signed_by"]}

    async def answer(self, run, values):
        self.taken[run.id] = values
        self.runs.remove(run)
        if self.when_answered:
            await self.when_answered()


@pytest.fixture
async def show(filled, monkeypatch):
    monkeypatch.setattr(demo, "_PAUSE", 0)
    settings = Settings()
    store = await CaseStore.open(settings)
    yield demo.Show(Site(filled, 4200), settings, store, PlayedPrefect(), Printer(), lambda: NOW)
    await store.close()


@pytest.fixture
async def case(show):
    return await show.send_alert()


@pytest.fixture
def ask(show, case):
    """Have the engine ask for a task in a run."""

    async def asked(key, run_id, attempt=1, reason=None):
        async with show.store.transaction() as tx:
            task = await find.task_of(tx, case, key)
            if task.state == "waiting":
                await tasks.ask(tx, task, parameters=None, due_at=None, by=ENGINE, at=NOW)
            await questions.asked(tx, task, attempt, run_id, reason, NOW)
        show.prefect.runs.append(WaitingRun(run_id, f"CASE-1 · {key}", "s"))

    return asked


@pytest.fixture
def end(show, case):
    async def ended():
        async with show.store.transaction() as tx:
            await cases.cancel(tx, await find.case(tx, case.number), "the test is over", by=ENGINE, at=NOW)

    return ended


async def test_the_people_are_there_once_however_often_it_is_shown(show):
    await show.bring_people()
    async with show.store.reading() as tx:
        assert (await find.person(tx, "irene")).roles == ["incident-manager"]


async def test_the_alert_opens_the_case_of_its_sop(show, capsys):
    case = await show.send_alert()
    assert (case.number, case.sop_key) == (1, "ssh-bruteforce")
    assert "CASE-1 is open, by SOP ssh-bruteforce" in capsys.readouterr().out


async def test_a_waiting_run_is_answered_once_by_the_script(show, case, ask, end):
    await ask("confirm-source", "run-1")
    show.prefect.when_answered = end
    await show.to_the_end(case)
    assert show.prefect.taken["run-1"]["signed_by"] == "dana"
    assert show.prefect.taken["run-1"]["source_kind"] == "Unknown external address"
    assert show.answered == {"confirm-source": 1}


async def test_a_run_that_is_not_on_record_yet_waits_for_the_next_look(show, case, ask, end):
    show.prefect.runs.append(WaitingRun("early", "CASE-1 · early", "s"))
    await ask("confirm-source", "run-1")
    show.prefect.when_answered = end
    await show.to_the_end(case)
    assert set(show.prefect.taken) == {"run-1"}


async def test_an_answer_that_was_not_taken_ends_the_demonstration_with_the_reason(show, case, ask):
    await ask("confirm-source", "run-1")

    async def again():
        await ask("confirm-source", "run-2", attempt=2, reason="attempts: must be a number")

    show.prefect.when_answered = again
    with pytest.raises(DemoFailed, match="attempts: must be a number") as failed:
        await show.to_the_end(case)
    assert str(show.settings.home / "logs") in failed.value.diagnostics()


async def test_a_case_that_does_not_end_fails_with_the_place_of_the_logs(show, case, monkeypatch):
    monkeypatch.setattr(demo, "LIMIT", 0.0)
    with pytest.raises(DemoFailed, match="CASE-1 was not closed within") as failed:
        await show.to_the_end(case)
    assert str(show.settings.home / "logs") in failed.value.diagnostics()


async def test_where_to_click_is_said_once(show, case, ask, end, capsys):
    await ask("confirm-source", "run-1")
    look = show.prefect.waiting
    looks = []

    async def waiting():
        looks.append(1)
        if len(looks) == 3:
            await end()
        return await look()

    show.prefect.waiting = waiting
    await show.watch(case)
    said = capsys.readouterr().out
    assert said.count("http://127.0.0.1:4200/runs/flow-run/run-1") == 1
    assert said.count("case opened") == 1, "each line of the timeline comes once"


async def test_who_may_sign_and_how_to_answer_elsewhere_is_said(show, capsys):
    await show.introduce()
    said = capsys.readouterr().out
    assert "irene (incident-manager)" in said
    assert f"CASEWRIGHT_HOME={show.settings.home} casewright task list" in said


async def test_a_record_of_a_case_that_is_not_closed_is_not_enough(show, case):
    with pytest.raises(DemoFailed, match="the record says that the case is open"):
        await show.check_record(case)


async def test_once_has_a_home_of_its_own_each_time(tmp_path, monkeypatch):
    monkeypatch.delenv("CASEWRIGHT_HOME", raising=False)
    settings = Settings(home=tmp_path / "var")
    assert demo._home(settings, once=True) != demo._home(settings, once=True)
    assert demo._home(settings, once=False) == tmp_path / "var" / "demo"
    monkeypatch.setenv("CASEWRIGHT_HOME", str(tmp_path / "mine"))
    assert demo._home(Settings(), once=False) == tmp_path / "mine"
