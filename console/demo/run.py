"""The demonstration: `up`, one alert, one case; with `--once` also the people, by the same API as the Prefect UI."""

import asyncio
import os
import shlex
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import httpx

from case_store import audit, find, people, questions, views
from case_store.actor import Actor
from case_store.audit import bundle, keys, verifier
from case_store.blobs import Blobs
from case_store.models import Case
from case_store.settings import Settings
from case_store.store import CaseStore
from console.demo import alert, record, script
from console.errors import DemoFailed
from console.files import lines_to
from console.intake import take_in
from console.output import Printer
from console.prefect_api import PrefectApi, WaitingRun
from console.stopping import until_stopped
from console.text import moment
from console.up import Site, running
from sop.library import Library, directories

DEMO = Actor.system("demo")
LIMIT = 120.0
"""Seconds that one whole case may take with `--once`, from the alert to its end; it takes a tenth of that."""
_PAUSE = 0.4
_NOT_PEOPLE = frozenset({"engine", "relay", "demo"})


async def demo(settings: Settings, *, once: bool, port: int, printer: Printer, now: Callable[[], datetime]) -> int:
    """Show one case from its alert on; with `once` play it to its end.

    Raises:
        DemoFailed: The case did not end, or the record does not hold together.
        ChildFailed: A part did not start.
    """
    home = _home(settings, once=once)
    await until_stopped(_play(home, once=once, port=port, printer=printer, now=now))
    return 0


def _home(settings: Settings, *, once: bool) -> Path:
    if once:
        settings.home.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="demo-", dir=settings.home))
    return settings.home if "CASEWRIGHT_HOME" in os.environ else settings.home / "demo"


def _mail_folder(home: Path) -> Path:
    """Where letters are kept; nobody in the demonstration has a mailbox."""
    return (home / "mail").absolute()


async def _play(home: Path, *, once: bool, port: int, printer: Printer, now: Callable[[], datetime]) -> None:
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(
            running(home, port, printer.out, {"CASEWRIGHT_MAIL_FOLDER": str(_mail_folder(home))})
        )
        settings = Settings(home=home)
        store = await CaseStore.open(settings)
        stack.push_async_callback(store.close)
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=10.0, trust_env=False))
        show = Show(site, settings, store, PrefectApi(site.api, client), printer, now)
        await show.bring_people()
        case = await show.send_alert()
        if not once:
            await show.introduce()
            await show.watch(case)
            printer.say("the case is closed; Ctrl-C stops everything")
            await asyncio.Event().wait()
        await show.to_the_end(case)
        await show.check_record(case)
        await show.prove_record(case)


async def _by_the_relay() -> None:
    """Do nothing: the relay of the demonstration seals."""


@dataclass
class Show:
    """One demonstration while it runs."""

    site: Site
    settings: Settings
    store: CaseStore
    prefect: PrefectApi
    printer: Printer
    now: Callable[[], datetime]
    answers: dict[str, dict[str, object]] = field(default_factory=script.load)
    told: set[str] = field(default_factory=set)
    """Ids of the runs that a person was pointed to, or that were answered."""
    answered: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    """How many lines of the timeline are printed."""

    async def bring_people(self) -> None:
        """Bring in the people of the demonstration."""
        rows = people.parse_csv(Path(__file__).with_name("people.csv").read_text("utf-8"))
        async with self.store.transaction() as tx:
            await people.import_(tx, rows, self._library().roles.keys(), by=DEMO, at=self.now())

    async def send_alert(self) -> Case:
        """Send in the alert, and say which case it became."""
        at = self.now()
        async with self.store.transaction() as tx:
            (taken,) = await take_in(
                tx,
                alert.fresh(at),
                "wazuh",
                blobs=Blobs(self.settings.blobs),
                sops=self._library().sops.values(),
                by=DEMO,
                at=at,
            )
        if taken.case is None:
            raise DemoFailed("no SOP wants the alert of the demonstration", next_step="Run: casewright sop list")
        self.printer.say(f"\nWazuh says: {taken.alert.title}")
        self.printer.say(f"CASE-{taken.case.number} is open, by SOP {taken.case.sop_key}\n")
        return taken.case

    async def introduce(self) -> None:
        """Say as whom one may sign, and how to answer from another terminal."""
        async with self.store.reading() as tx:
            everybody = [f"{person.handle} ({', '.join(person.roles)})" for person in await views.people(tx)]
        self.printer.say(f"Sign as one of {', '.join(everybody)}.")
        home = shlex.quote(str(self.settings.home))
        self.printer.say(f"Or from another terminal: CASEWRIGHT_HOME={home} casewright task list")
        self.printer.say(f"What the owners are mailed is kept in {_mail_folder(self.settings.home)}\n")

    async def watch(self, case: Case) -> None:
        """Print what happens and where to click, until the case is closed."""
        while not await self.tell(case):
            for run in await self._new_questions():
                self.printer.say(f"  waits for you: {run.name}\n    {self.site.ui}/runs/flow-run/{run.id}  (Resume)")
                self.told.add(run.id)
            await asyncio.sleep(_PAUSE)

    async def to_the_end(self, case: Case) -> None:
        """Print what happens and answer what is asked, until the case is closed."""
        try:
            async with asyncio.timeout(LIMIT):
                while not await self.tell(case):
                    for run in await self._new_questions():
                        await self._answer(run)
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            raise DemoFailed(
                f"CASE-{case.number} was not closed within {LIMIT:.0f} s", next_step=self._look_at_the_logs()
            ) from None

    async def tell(self, case: Case) -> bool:
        """Print what is new in the case's timeline; say whether the case is at its end."""
        async with self.store.reading() as tx:
            state = (await find.case(tx, case.number)).state
            timeline = await views.timeline(tx, case)
        for row in timeline[self.lines :]:
            detail = f"  {row.detail}" if row.detail else ""
            style = "dim" if row.who in _NOT_PEOPLE else "bold"
            self.printer.line(f"  {moment(row.at)[11:-1]}  {row.what}{detail}  ({row.who})", style)
        self.lines = len(timeline)
        return state != "open"

    async def check_record(self, case: Case) -> None:
        """Export the record, read it again from the file, and say what it says."""
        out = self.settings.home / "audit.jsonl"
        with lines_to(out, self.printer.err, expected=None) as sink:
            await audit.export(self.store, sink, by=DEMO, at=self.now())
        with out.open(encoding="utf-8") as lines:
            story = record.read(lines)
        state, letters = story.row_of("case")["state"], _mail_folder(self.settings.home)
        if state != "closed":
            raise DemoFailed(f"the record says that the case is {state}", next_step=f"Read {out}")
        self.printer.say(
            f"\nCASE-{case.number} is closed; {sum(self.answered.values())} answers were given in Prefect."
            f"\n{story.events} events are on record, {story.by_people} of them by people; read again from the export, "
            f"they lead to the same end.\n  {out}"
            f"\n{len(list(letters.glob('*.eml')))} letters to owners were written.\n  {letters}\n"
        )

    async def prove_record(self, case: Case) -> None:
        """Write the case's bundle, which the relay seals, and verify it as a stranger would.

        Raises:
            DemoFailed: It does not verify.
        """
        out, steps = self.settings.home / f"CASE-{case.number}.zip", list[str]()
        blobs = Blobs(self.settings.blobs)
        at = self.now()
        report = partial(views.report, case=case, by="the demonstration", at=at)
        wanted = bundle.Wanted(case, blobs, report)
        await bundle.write(self.store, out, wanted, by=DEMO, at=at, seal=_by_the_relay)
        key = self.settings.keys / keys.PUBLIC
        if verifier.verify(out, key.read_text("ascii"), must_be_sealed=True, say=steps.append) != 0:
            raise DemoFailed(steps[-1], next_step=f"casewright audit verify {out} --key {key}")
        self.printer.say(
            f"{steps[-1]}\n  {out}\n  unzip it: report.html is the case to read, and verify.py says the same to "
            f"anybody who has {key.name}\n"
        )

    async def _new_questions(self) -> list[WaitingRun]:
        return [run for run in await self.prefect.waiting() if run.id not in self.told]

    async def _answer(self, run: WaitingRun) -> None:
        async with self.store.reading() as tx:
            question = await questions.of_run(tx, run.id)
            key = (await find.task(tx, question.task_id)).key if question else None
        if question is None or key is None:
            return  # asked a moment ago; it is on record at the next look
        if self.answered[key]:
            raise DemoFailed(
                f"the answer to {key!r} was not taken: {question.reason}", next_step=self._look_at_the_logs()
            )
        await self.prefect.answer(run, script.answer(self.answers, key, await self.prefect.form(run)))
        self.answered[key] += 1
        self.told.add(run.id)

    def _library(self) -> Library:
        return Library.survey(directories(self.settings.sops), self.settings.actions)

    def _look_at_the_logs(self) -> str:
        return f"Read the logs in {self.settings.home / 'logs'}"
