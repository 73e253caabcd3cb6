"""A small world for tests of the verbs: an SOP with every kind of task, some people, and a case."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from case_store import cases, find
from case_store.actor import Actor
from case_store.models import Case, OutboxEntry, Person, Task
from case_store.store import CaseStore, Tx
from sop.loader import LoadedSop, loads

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
ENGINE = Actor.run("11111111-1111-7111-8111-111111111111")
SYSTEM = Actor.system("test")

SOP_TEXT = """
sop: drill
version: 3
title: A drill with every kind of task
severity: low
owner: role:tier1
stages:
  - key: analyse
    title: Analysis
    sla: 1h
    tasks:
      - key: extract
        title: Extract observables
        action: observables.extract
        sla: 15m
        with: {evidence: alert.raw}
      - key: confirm
        title: Confirm what it is
        owner: role:tier1
        sla: 30m
        form:
          verdict: {type: choice, options: [phishing, spam], required: true}
          hosts: {type: number}
        note_required: true
        by_link: [done, skip]
      - key: look-around
        title: Look for more of the kind
        depends_on: [confirm]
      - key: report
        title: Report it
        owner: user:ada
        mandatory: true
        by_link: [done]
  - key: contain
    title: Containment
    when: tasks.confirm.verdict == "phishing"
    tasks:
      - key: block
        title: Block the sender
        approval: {from: "role:manager", not_requester: true}
        action: http.request
        with: {url: "'https://gateway.example/block'"}
        by_link: [approve, reject]
      - key: sign-off
        title: Sign off
        approval: {from: "user:mia"}
      - key: tidy
        title: Tidy up
        owner: user:nobody-here
        when: tasks.block.decision == "approved"
"""


def sop() -> LoadedSop:
    return loads(SOP_TEXT, "drill.yaml")


@dataclass
class World:
    """The people of the drill, and its case."""

    case: Case
    ada: Person  # tier1
    bob: Person  # tier1
    mia: Person  # manager
    max: Person  # manager
    eve: Person  # no role

    def __getitem__(self, handle: str) -> Person:
        person = getattr(self, handle)
        assert isinstance(person, Person)
        return person


def new_person(tx: Tx, handle: str, *roles: str, **values: object) -> Person:
    made = Person(
        **{"handle": handle, "name": handle.title(), "email": f"{handle}@example.org", "roles": list(roles), **values}
    )
    tx.session.add(made)
    tx.record("person.added", made, by=SYSTEM, at=NOW)
    return made


async def people(tx: Tx) -> dict[str, Person]:
    made = {
        "ada": new_person(tx, "ada", "tier1"),
        "bob": new_person(tx, "bob", "tier1", phone="+4930901820"),
        "mia": new_person(tx, "mia", "manager", phone="+4930901821"),
        "max": new_person(tx, "max", "manager", phone="+4930901822"),
        "eve": new_person(tx, "eve", email=None),
    }
    await tx.flush()
    return made


async def build(store: CaseStore, **options: object) -> World:
    """Make the people and open the case."""
    async with store.transaction() as tx:
        made = await people(tx)
        options = {"by": SYSTEM, **options}
        case = await cases.open_case(tx, sop(), "Suspicious mail", at=NOW, **options)  # type: ignore[arg-type]
    return World(case, **made)


async def task(tx: Tx, world: World, key: str) -> Task:
    return await find.task_of(tx, world.case, key)


async def code_of(tx: Tx) -> str:
    """Read the newest code to sign with out of the message that carries it."""
    wanted = select(OutboxEntry).where(OutboxEntry.template == "code").order_by(OutboxEntry.id.desc()).limit(1)
    digits: str = (await tx.session.scalars(wanted)).one().context["code"]["digits"]
    return digits
