"""The SOPs that come along are worth following: they can be read, they end, and they never trip over an answer."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from ruamel.yaml import YAML

from sop.conditions import Condition, evaluate, parameters
from sop.loader import LoadedSop, load, load_directory
from sop.model import FormField, Sla, Sop, Stage, Task

LIBRARY = Path(__file__).parents[3] / "sop" / "library"
KEYS = ("lost-device", "phishing", "ransomware", "ssh-bruteforce")
REGULATOR = timedelta(hours=72)

# The built-in actions and the parameters each may be given.
ACTIONS = {
    "observables.extract": {"evidence"},
    "email.parse": {"evidence"},
    "file.identify": {"evidence"},
    "note.add": {"body"},
    "severity.set": {"severity"},
}
RESULTS = {
    "observables.extract": {"counts": {"ip": 2}, "total": 2},
    "email.parse": {"subject": "Invoice", "sender": "a@example.org", "sender_domain": "example.org", "urls": 1},
    "file.identify": {"media_type": "text/plain", "size": 12, "sha256": "00" * 32, "extension": ".txt"},
    "note.add": {},
    "severity.set": {},
}
SEVERITIES = {"informational", "low", "medium", "high", "critical"}
# What conditions can read of every task.
OF_EVERY_TASK = {"state", "decision", "note"}

BRUTE_FORCE = {
    "rule": {"id": "5712", "level": 10, "groups": ["syslog", "sshd", "authentication_failures"]},
    "agent": {"id": "001", "name": "web-1", "ip": "10.0.0.5"},
    "decoder": {"parent": "sshd", "name": "sshd"},
    "data": {"srcip": "203.0.113.7", "srcuser": "admin"},
}


def wazuh(title: str = "sshd: brute force trying to get access to the system.", **rule: object) -> dict[str, object]:
    fields = {**BRUTE_FORCE, "rule": {**BRUTE_FORCE["rule"], **rule}}
    return {"source": "wazuh", "title": title, "severity": "medium", "raw": "evidence-1", "fields": fields}


def generic(title: str, source: str = "service-desk") -> dict[str, object]:
    return {"source": source, "title": title, "severity": "medium", "raw": "evidence-1", "fields": {}}


@pytest.fixture(scope="module")
def library() -> dict[str, LoadedSop]:
    return {loaded.sop.key: loaded for loaded in load_directory([LIBRARY])}


@pytest.fixture(params=KEYS)
def sop(request) -> Sop:
    return load(LIBRARY / f"{request.param}.yaml").sop


def by_people(sop: Sop) -> list[Task]:
    return [task for _, task in sop.tasks() if task.kind != "action"]


def kinds(sop: Sop) -> dict[str, int]:
    found = [task.kind for _, task in sop.tasks()]
    return {kind: found.count(kind) for kind in ("action", "manual", "form", "approval")}


def points(instructions: str) -> list[str]:
    return re.findall(r"^(?:\d+\.|[-*]) \S.*$", instructions, re.MULTILINE)


def before(stage: Stage, task: Task) -> set[str]:
    """Return the keys of the tasks of its stage that are closed before the task begins."""
    closed: set[str] = set()
    for key in task.depends_on:
        closed |= {key} | before(stage, next(one for one in stage.tasks if one.key == key))
    return closed


def expressions(given: object) -> Iterator[str]:
    if isinstance(given, str):
        yield given
    elif isinstance(given, dict):
        for one in given.values():
            yield from expressions(one)
    elif isinstance(given, list | tuple):
        for one in given:
            yield from expressions(one)


# ---- what is in it ----------------------------------------------------------------------------------------------


def test_the_library_has_the_four_sops_each_in_a_file_of_its_name(library):
    assert {key: Path(loaded.source).name for key, loaded in library.items()} == {key: f"{key}.yaml" for key in KEYS}


def test_an_sop_has_substance(sop):
    assert len(sop.stages) >= 4
    assert len(list(sop.tasks())) >= 12
    assert len(sop.summary) >= 200


def test_an_sop_mixes_all_kinds_of_tasks(sop):
    found = kinds(sop)
    assert all(found.values()), found
    assert found["action"] >= 3
    assert found["form"] >= 4


def test_an_sop_asks_some_things_only_of_some_cases(sop):
    named = [Condition(task.when).names for _, task in sop.tasks() if task.when]
    named += [Condition(stage.when).names for stage in sop.stages if stage.when]
    assert sum(any(name.startswith("tasks.") for name in names) for names in named) >= 4


def test_an_sop_holds_people_to_what_matters(sop):
    assert sum(task.mandatory for task in by_people(sop)) >= 3
    assert sum(task.note_required for task in by_people(sop)) >= 3
    last = sop.stages[-1].tasks[-1]
    assert last.mandatory, "the closing judgement may not be skipped"


def test_tasks_of_a_stage_run_side_by_side_somewhere(sop):
    assert any(sum(not task.depends_on for task in stage.tasks) >= 2 for stage in sop.stages)


def test_lost_device_is_mostly_for_people_outside_of_it(library):
    sop = library["lost-device"].sop
    technical = {"role:it-operations", "role:identity", "role:analyst", "role:tier1", "role:tier2"}
    owners = [task.approval.from_ if task.approval else task.owner for task in by_people(sop)]
    assert {"role:legal", "role:hr", "role:communications", "role:privacy"} <= set(owners)
    assert sum(owner in technical for owner in owners) * 4 <= len(owners)


def test_ssh_bruteforce_is_small_enough_to_show_and_needs_no_message(library):
    sop = library["ssh-bruteforce"].sop
    assert 12 <= len(list(sop.tasks())) <= 14
    assert {task.action for _, task in sop.tasks() if task.action} <= {
        "observables.extract", "note.add", "severity.set",
    }  # fmt: skip


# ---- instructions -----------------------------------------------------------------------------------------------


def test_everything_a_person_does_says_how_step_by_step(sop):
    poor = [task.key for task in by_people(sop) if len(task.instructions) < 200 or len(points(task.instructions)) < 3]
    assert poor == []


@pytest.mark.parametrize("heading", ["**Attach:**", "**Stop and call:**"])
def test_everything_a_person_does_says_what_to_keep_and_when_to_call(sop, heading):
    assert [task.key for task in by_people(sop) if heading not in task.instructions] == []


def test_everything_automated_says_what_to_do_when_it_fails(sop):
    actions = [task for _, task in sop.tasks() if task.kind == "action"]
    silent = [task.key for task in actions if "if it fails" not in " ".join(task.instructions.lower().split())]
    assert silent == []


def test_numbered_steps_are_numbered_without_gaps(sop):
    for task in by_people(sop):
        numbers = [int(point.split(".")[0]) for point in points(task.instructions) if point[0].isdigit()]
        assert numbers == list(range(1, len(numbers) + 1)), task.key


def test_instructions_are_said_once(sop):
    said = [task.instructions for _, task in sop.tasks()]
    assert len(set(said)) == len(said)


# ---- who, and by when -------------------------------------------------------------------------------------------


def test_every_role_has_a_title_and_every_title_is_used(library):
    titles = YAML(typ="safe").load(LIBRARY / "roles.yaml")
    used = {loaded.sop.owner for loaded in library.values()}
    for loaded in library.values():
        used |= {task.approval.from_ if task.approval else task.owner for _, task in loaded.sop.tasks()}
    assert {rule.removeprefix("role:") for rule in used if rule.startswith("role:")} == set(titles)
    assert all(isinstance(title, str) and title[0].isupper() for title in titles.values())


def test_every_stage_and_everything_a_person_does_has_a_time(sop):
    assert all(stage.sla for stage in sop.stages)
    assert [task.key for task in by_people(sop) if task.sla is None] == []


def time(sla: Sla | None) -> timedelta:
    return (sla and sla.of("medium")) or timedelta()


def test_the_times_of_tasks_one_after_another_fit_into_their_stage(sop):
    for stage in sop.stages:
        end: dict[str, timedelta] = {}
        for task in stage.tasks:  # in the files a task comes after what it depends on
            start = max((end[key] for key in task.depends_on), default=timedelta())
            end[task.key] = start + time(task.sla)
        latest = max(end, key=end.__getitem__)
        assert end[latest] <= time(stage.sla), f"{stage.key}: {latest} may end after {end[latest]}"


@pytest.mark.parametrize(("key", "notice"), [("lost-device", "send-notice"), ("ransomware", "send-regulator")])
def test_the_notice_to_the_regulator_is_due_within_72_hours(library, key, notice):
    sop = library[key].sop
    place = next(number for number, stage in enumerate(sop.stages) if notice in [task.key for task in stage.tasks])
    assert sum((time(stage.sla) for stage in sop.stages[: place + 1]), timedelta()) <= REGULATOR
    assert sop.task(notice).mandatory
    assert "72 hours" in sop.task(notice).instructions
    assert "72" in sop.summary


# ---- forms and actions ------------------------------------------------------------------------------------------


def test_choices_are_answers_between_which_one_can_choose(sop):
    for _, task in sop.tasks():
        for name, asked in (task.form or {}).items():
            if asked.type in ("choice", "multichoice"):
                assert len(asked.options) >= 2, f"{task.key}.{name}"
                # A list is typed as `a, b` on the command line.
                assert asked.type == "choice" or not any("," in option for option in asked.options), (
                    f"{task.key}.{name}"
                )


def test_actions_are_given_parameters_they_have(sop):
    for _, task in sop.tasks():
        if task.action:
            assert set(task.with_) <= ACTIONS[task.action], task.key


def test_expressions_name_only_what_is_decided_by_then(sop):
    """A task of the same stage only after `depends_on`, and only fields that its form has."""
    earlier: set[str] = set()
    for stage in sop.stages:
        for task in stage.tasks:
            decided = earlier | before(stage, task)
            for text in [*([task.when] if task.when else []), *expressions(task.with_)]:
                for name in Condition(text).names:
                    assert unknown(sop, name, decided) is None, f"{task.key}: {unknown(sop, name, decided)}"
        if stage.when:
            for name in Condition(stage.when).names:
                assert unknown(sop, name, earlier) is None, f"{stage.key}: {unknown(sop, name, earlier)}"
        earlier |= {task.key for task in stage.tasks}


def unknown(sop: Sop, name: str, decided: set[str]) -> str | None:
    root, *rest = name.split(".")
    if root != "tasks":
        return None
    task = next((task for _, task in sop.tasks() if task.name == rest[0]), None)
    if task is None or task.key not in decided:
        return f"{name} is not decided yet"
    known = OF_EVERY_TASK | set(task.form or {}) | set(RESULTS.get(task.action or "", {}))
    return None if rest[1] in known else f"{name} is not a field"


# ---- alerts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        (wazuh(), ["ssh-bruteforce"]),
        (wazuh(id="5720"), ["ssh-bruteforce"]),
        (wazuh(id="100200"), ["ssh-bruteforce"]),  # a rule of one's own in the same groups
        (wazuh(id="40112", groups=["authentication_failures"]), ["ssh-bruteforce"]),
        ({**wazuh(), "source": "syslog"}, []),
        (wazuh(id="5716", groups=["syslog", "sshd", "authentication_failed"]), []),
        (wazuh(title="File added", id="550", groups=["ossec", "syscheck"]), []),
        ({"source": "wazuh", "title": "Odd", "fields": {"rule": {"level": 3}}}, []),
        ({"source": "wazuh", "title": "Odd", "fields": {}}, []),
        (generic("User reported e-mail: Your invoice", "o365"), ["phishing"]),
        (generic("Possible PHISHING campaign"), ["phishing"]),
        (generic("Message from a colleague", "phish-button"), ["phishing"]),
        (generic("Ransomware behaviour on FILES-2", "edr"), ["ransomware"]),
        (wazuh(title="Many files renamed", id="100300", groups=["ransomware"]), ["ransomware"]),
        (generic("Laptop stolen from a train"), ["lost-device"]),
        (generic("Lost phone"), ["lost-device"]),
        (generic("USB stick was lost on the way to a customer"), ["lost-device"]),
        (generic("Agent lost connection to laptop-7", "edr"), []),
        (generic("Credential theft on laptop-7", "edr"), []),
        (generic("Printer out of paper"), []),
    ],
)
def test_an_alert_finds_its_sop_and_no_other(library, alert, expected):
    scope = {"alert": alert}
    assert [key for key, loaded in sorted(library.items()) if evaluate(loaded.sop.match, scope)] == expected


# ---- every way through ------------------------------------------------------------------------------------------


@dataclass
class Walk:
    """One way through an SOP with answers drawn at random, the way the engine goes it.

    What nobody answered is missing: a task that was skipped, rejected, not applicable or done by hand has no values.
    """

    sop: Sop
    draw: Random
    answers: dict[str, set[bool]]
    tasks: dict[str, dict[str, object]] = field(default_factory=dict)
    severities: set[str] = field(default_factory=set)

    def go(self) -> None:
        self.tasks = {task.name: self._closed("waiting") for _, task in self.sop.tasks()}
        self.alert = self.draw.choice([{}, wazuh(), generic("A title")])
        for stage in self.sop.stages:
            if stage.when and not self._met(stage.key, stage.when):
                self.tasks |= {task.name: self._closed("not_applicable") for task in stage.tasks}
                continue
            for task in stage.tasks:
                applies = not task.when or self._met(task.key, task.when)
                self.tasks[task.name] = self._decided(task) if applies else self._closed("not_applicable")

    def _met(self, key: str, condition: str) -> bool:
        met = evaluate(condition, self._scope())
        self.answers.setdefault(key, set()).add(met)
        return met

    def _scope(self) -> dict[str, object]:
        case = {"number": 12, "title": "A case", "severity": "medium"}
        observables = self.draw.choice([{}, {"ip": ["203.0.113.7", "10.0.0.5"]}])
        return {"case": case, "alert": self.alert, "tasks": self.tasks, "observables": observables}

    def _decided(self, task: Task) -> dict[str, object]:
        given = parameters(task.with_, self._scope()) if task.action else {}
        self._fit(task, given)
        if not task.mandatory and self.draw.random() < 0.2:
            return self._closed("skipped")
        if task.kind == "approval":
            return self._closed(*self.draw.choice([("done", "approved"), ("rejected", "rejected")]))
        if task.kind == "action":
            by_hand = self.draw.random() < 0.2
            return {**self._closed("done"), **({} if by_hand else RESULTS[task.action])}
        return {
            **self._closed("done", "completed"),
            **{name: self._answer(one) for name, one in (task.form or {}).items()},
        }

    def _fit(self, task: Task, given: dict[str, object]) -> None:
        assert all(isinstance(value, str) and value.strip() for value in given.values()), task.key
        if task.action == "severity.set":
            assert given["severity"] in SEVERITIES, task.key
            self.severities.add(given["severity"])

    def _answer(self, asked: FormField) -> object:
        if not asked.required and self.draw.random() < 0.5:
            return None
        if asked.type == "multichoice":
            return [option for option in asked.options if self.draw.random() < 0.5] or [asked.options[0]]
        return self.draw.choice({
            "choice": list(asked.options), "yesno": [True, False], "number": [0, 1, 12, 2.5, 5000],
            "date": ["2026-01-31"], "datetime": ["2026-01-31T08:30:00+00:00"],
        }.get(asked.type, ["Some words, with \"quotes\" and 'more'"]))  # fmt: skip

    @staticmethod
    def _closed(state: str, decision: str | None = None) -> dict[str, object]:
        return {"state": state, "decision": decision, "note": None}


def test_no_answer_trips_an_sop_and_every_condition_goes_both_ways(sop):
    answers: dict[str, set[bool]] = {}
    closed: set[str] = set()
    for seed in range(120):
        walk = Walk(sop, Random(seed), answers)
        walk.go()
        closed |= {task["state"] for task in walk.tasks.values()}
    conditional = {stage.key for stage in sop.stages if stage.when} | {task.key for _, task in sop.tasks() if task.when}
    assert answers == {key: {True, False} for key in conditional}
    assert closed == {"done", "skipped", "rejected", "not_applicable"}


def test_lost_device_says_until_when_the_regulator_has_to_know(library):
    task = library["lost-device"].sop.task("deadline")
    scope = {"tasks": {"take_report": {"state": "done", "aware_at": "2026-01-30T22:15:00+00:00"}}}
    assert "by 2026-02-02T22:15:00+00:00." in parameters(task.with_, scope)["body"]


@pytest.mark.parametrize(
    ("outcome", "kind", "severity"),
    [
        ("A login succeeded", "Unknown external address", "critical"),
        ("Cannot tell", "Unknown external address", "high"),
        ("No login succeeded", "Machine of ours", "high"),
        ("No login succeeded", "Unknown external address", "low"),
    ],
)
def test_ssh_bruteforce_takes_its_severity_from_what_was_found(library, outcome, kind, severity):
    task = library["ssh-bruteforce"].sop.task("set-severity")
    tasks = {"check_success": {"outcome": outcome}, "confirm_source": {"source_kind": kind}}
    assert parameters(task.with_, {"tasks": tasks}) == {"severity": severity}
