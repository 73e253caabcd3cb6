"""A Casewright of the test's own: a real Prefect server, the deployments, worker and relay, as processes on loopback.

What a person does in the Prefect UI is done here through the same API that the UI uses.
"""

import asyncio
import atexit
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from sqlalchemy import select

from case_store import cases, find, migrate, models, people
from case_store.actor import Actor
from case_store.settings import Settings
from case_store.store import CaseStore
from sop.library import Library, directories
from tests import postgres

ROOT = Path(__file__).resolve().parents[1]
SOPS = ROOT / "tests" / "sops"
ACTIONS = "tests.site_actions"

PEOPLE = """handle,name,email,phone,manager,roles,time_zone
ana,Ana Analyst,ana@example.com,,,analyst;tier1;tier2;it-operations,
ben,Ben Analyst,ben@example.com,,,analyst;tier1,
mia,Mia Manager,mia@example.com,,,incident-manager;manager,
"""

PARTS = ("home", "prefect")
DEPLOYED = "CASEWRIGHT_TEST_SITE"
PREFECT_WORKERS = ("casewright-worker", "process-worker")
RELAYS_OF_TESTS = ("deaf-relay", "mute-relay")
_PREFECT = (sys.executable, "-m", "prefect")

Found = TypeVar("Found")


async def until(what: Callable[[], Awaitable[Found]], within: float = 60.0, every: float = 0.05) -> Found:
    """Return what is awaited as soon as it is true; fail with the last answer when it does not become so in time."""
    deadline = time.monotonic() + within
    while not (found := await what()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what.__name__} is {found!r}")
        await asyncio.sleep(every)
    return found


class Site:
    """One installation in a folder.

    `start` and `kill` take: server, serve, worker, relay, and Prefect's own commands casewright-worker (our type of
    worker) and process-worker (the stock one). deaf-relay does not follow, mute-relay only catches up. A
    second one of a kind is worker@2.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = _free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.ui = f"http://127.0.0.1:{self.port}"
        self.effects = folder / "effects.txt"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CASEWRIGHT_", "PREFECT_"))},
            "CASEWRIGHT_HOME": str(folder / "home"),
            "CASEWRIGHT_SOPS": str(SOPS),
            "CASEWRIGHT_ACTIONS": ACTIONS,
            "CASEWRIGHT_ACTION_EFFECTS": str(self.effects),
            "CASEWRIGHT_PREFECT_API_URL": self.api,
            "CASEWRIGHT_PREFECT_UI_URL": self.ui,
            "CASEWRIGHT_ORPHAN_AFTER": "PT4S",
            "PREFECT_API_URL": self.api,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **settings,
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        self.settings = self._settings()

    def _settings(self) -> Settings:
        own = {
            k.removeprefix("CASEWRIGHT_").lower(): v for k, v in self.environment.items() if k.startswith("CASEWRIGHT_")
        }
        return Settings(**{name: value for name, value in own.items() if name in Settings.model_fields})

    # --- processes

    def prepare(self) -> None:
        """Make the database and bring the people in."""
        with ThreadPoolExecutor(1) as thread:  # a test may have an event loop running in this one
            thread.submit(asyncio.run, self._prepare()).result()

    async def _prepare(self) -> None:
        await migrate.upgrade(self.settings.database_url)
        store = await CaseStore.open(self.settings)
        roles = set(self.library().roles)
        async with store.transaction() as tx:
            await people.import_(tx, people.parse_csv(PEOPLE), roles, by=Actor.system("test"), at=datetime.now(UTC))
        await store.close()

    def library(self) -> Library:
        """Return the SOPs of this site: the built-in ones and the tests' own."""
        return Library.load(directories([SOPS]), (ACTIONS,))

    def start(self, name: str) -> None:
        """Start a process and wait until it works."""
        log = self.logs / f"{name}.log"
        began = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self._processes[name] = subprocess.Popen(
                self._command(name), env=self.environment, cwd=ROOT, stdout=out, stderr=out, start_new_session=True
            )
        self._await_ready(name, log, began)

    def _command(self, name: str) -> list[str]:
        kind = name.partition("@")[0]
        if kind == "server":
            return [*_PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        if kind in PREFECT_WORKERS:
            return [*_PREFECT, "worker", "start", "--pool", "casewright", "--type", kind.removesuffix("-worker")]
        if kind in RELAYS_OF_TESTS:
            return [sys.executable, "-m", f"tests.{kind.replace('-', '_')}"]
        return [sys.executable, "-m", "flows", kind]

    def _await_ready(self, name: str, log: Path, began: int) -> None:
        deadline = time.monotonic() + 180  # a busy machine takes its time; nothing waits for this when all is well
        sign = b" started!" if name.partition("@")[0] in PREFECT_WORKERS else b"ready\n"
        while not (self._healthy() if name == "server" else sign in log.read_bytes()[began:]):
            if self._processes[name].poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{name} did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)

    def _healthy(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.api}/health", timeout=2, trust_env=False).is_success
        return False

    def deploy(self) -> None:
        """Deploy all SOPs."""
        self.run("deploy")

    def run(self, command: str) -> str:
        """Run one of the engine's commands to its end and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "flows", command],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def use_stock_pool(self) -> None:
        """Replace the work pool by one of Prefect's type `process`, and deploy into it."""
        for words in (["delete", "casewright"], ["create", "casewright", "--type", "process"]):
            command = [*_PREFECT, "--no-prompt", "work-pool", *words]
            subprocess.run(command, env=self.environment, check=True, capture_output=True)
        self.deploy()

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a process, with everything it started, and wait until it is gone."""
        process = self._processes.pop(name, None)
        if process is not None and process.poll() is None:
            os.killpg(process.pid, number)
            process.wait(timeout=30)

    def running(self, name: str) -> bool:
        """Say whether a process lives."""
        return name in self._processes and self._processes[name].poll() is None

    def pid(self, name: str) -> int:
        """Return the id of a process."""
        return self._processes[name].pid

    def stop(self) -> None:
        """End everything."""
        for name in list(self._processes):
            self.kill(name)


class Desk:
    """What people do at a site: open cases, answer forms, look."""

    def __init__(self, site: Site, store: CaseStore, client: httpx.AsyncClient) -> None:
        self.site, self.store, self.client = site, store, client

    async def open(self, sop: str, title: str = "a case", **given: Any) -> models.Case:
        """Open a case by the verb that the command line uses."""
        loaded = self.site.library().sops[sop]
        async with self.store.transaction() as tx:
            return await cases.open_case(tx, loaded, title, by=Actor.system("test"), at=datetime.now(UTC), **given)

    async def case(self, number: int) -> models.Case:
        """Return the case as it is now."""
        async with self.store.reading() as tx:
            return await find.case(tx, number)

    async def root(self, number: int) -> str | None:
        """Return the id of the flow run that carries out the case."""
        async with self.store.reading() as tx:
            return (await tx.session.get_one(models.CaseRun, (await find.case(tx, number)).id)).flow_run_id

    async def task(self, number: int, key: str) -> models.Task:
        """Return a task as it is now."""
        async with self.store.reading() as tx:
            return await find.task_of(tx, await find.case(tx, number), key)

    async def state(self, number: int) -> dict[str, str]:
        """Return the state of each task."""
        async with self.store.reading() as tx:
            case = await find.case(tx, number)
            rows = await tx.session.execute(
                select(models.Task.key, models.Task.state).where(models.Task.case_id == case.id)
            )
            return {row.key: row.state for row in rows}

    async def question(self, number: int, key: str, attempt: int = 1, within: float = 60.0) -> models.Question:
        """Wait until a task is asked about, and return the question."""

        async def asked() -> models.Question | None:
            async with self.store.reading() as tx:
                task = await find.task_of(tx, await find.case(tx, number), key)
                return await tx.session.get(models.Question, (task.id, attempt))

        return await until(asked, within)

    async def form(self, question: models.Question) -> dict[str, Any]:
        """Return the JSON Schema of a question's form, as the UI reads it."""
        key = f"suspended-{question.task_id}-{question.attempt}-schema"
        return (await self._request("GET", f"/flow_runs/{question.flow_run_id}/input/{key}")).json()

    async def description(self, question: models.Question) -> str:
        """Return the Markdown above the form."""
        key = f"suspended-{question.task_id}-{question.attempt}-description"
        return (await self._request("GET", f"/flow_runs/{question.flow_run_id}/input/{key}")).json()

    async def resume(self, question: models.Question, **entered: Any) -> dict[str, Any]:
        """Submit a form; returns what the server says: `status` is ACCEPT, REJECT or ABORT."""
        answer = await self._request("POST", f"/flow_runs/{question.flow_run_id}/resume", json={"run_input": entered})
        return answer.json()

    async def answer(self, number: int, key: str, *, attempt: int = 1, **entered: Any) -> models.Question:
        """Wait for a question and answer it; the server must take the form."""
        question = await self.question(number, key, attempt)
        said = await self.resume(question, **entered)
        assert said["status"] == "ACCEPT", said
        return question

    async def start(self, deployment_id: str, **parameters: Any) -> dict[str, Any]:
        """Start a run of a deployment, as the UI does, and return it."""
        path = f"/deployments/{deployment_id}/create_flow_run"
        return (await self._request("POST", path, json={"parameters": parameters})).json()

    async def run(self, run_id: str) -> dict[str, Any]:
        """Return a flow run as the server has it."""
        return (await self._request("GET", f"/flow_runs/{run_id}")).json()

    async def runs(self, **flow_runs: Any) -> list[dict[str, Any]]:
        """Return the flow runs that the filter finds."""
        found: list[dict[str, Any]] = []
        while True:
            body = {"flow_runs": flow_runs, "limit": 200, "offset": len(found)}
            page = (await self._request("POST", "/flow_runs/filter", json=body)).json()
            if not page:
                return found
            found += page

    async def becomes(self, number: int, key: str, state: str, within: float = 60.0) -> models.Task:
        """Wait until a task is in a state."""

        async def there() -> models.Task | None:
            task = await self.task(number, key)
            return task if task.state == state else None

        return await until(there, within)

    async def ends(self, number: int, state: str = "closed", within: float = 60.0) -> models.Case:
        """Wait until the case is in a state."""

        async def there() -> models.Case | None:
            case = await self.case(number)
            return case if case.state == state else None

        return await until(there, within)

    async def events(self, number: int) -> list[dict[str, Any]]:
        """Return the audit events of a case, the oldest first."""
        async with self.store.reading() as tx:
            case = await find.case(tx, number)
            bodies = await tx.session.scalars(
                select(models.AuditEvent.body)
                .where(models.AuditEvent.stream == f"case/{case.id}")
                .order_by(models.AuditEvent.id)
            )
            return [json.loads(body) for body in bodies]

    async def _request(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Ask the server, and again while its SQLite is busy or it is just being started."""
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = await self.client.request(method, path, **given)
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    return answer
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def desk_at(site: Site) -> Any:
    """Yield a desk at a site."""
    store = await CaseStore.open(site.settings)
    try:
        async with httpx.AsyncClient(base_url=site.api, timeout=30, trust_env=False) as client:
            yield Desk(site, store, client)
    finally:
        await store.close()


@contextlib.contextmanager
def site_in(folder: Path, *processes: str, **settings: str) -> Iterator[Site]:
    """Yield a site that is deployed and whose processes run; end it afterwards.

    One with the usual settings is a copy of another that was deployed before.
    """
    ready = None if settings else deployed()
    site = Site(folder, **settings)
    try:
        if ready is not None:
            for part in PARTS:
                shutil.copytree(ready / part, folder / part)
        else:
            site.prepare()
        site.start("server")
        if ready is None:
            site.deploy()
        for name in processes:
            site.start(name)
        yield site
    finally:
        site.stop()


@functools.cache
def deployed() -> Path:
    """Return the folder of a deployed site in which nothing runs; deploying takes as long as all else together.

    Whoever starts a program that needs one, too, names it in the environment.
    """
    if there := os.environ.get(DEPLOYED):
        return Path(there)
    folder = Path(tempfile.mkdtemp(prefix="casewright-site-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    site = Site(folder)
    try:
        site.prepare()
        site.start("server")
        site.deploy()
        site.kill("server", signal.SIGINT)  # so that its database is all in one file
    finally:
        site.stop()
    return folder


@contextlib.contextmanager
def postgres_site_in(folder: Path, *processes: str) -> Iterator[Site]:
    """Yield the same with PostgreSQL behind both Prefect and the case store; the databases are dropped afterwards."""
    server, name = postgres.server(), f"casewright_site_{uuid4().hex[:8]}"
    prefect = server.set(drivername="postgresql+asyncpg", database=f"{name}_prefect")
    own = server.set(database=f"{name}_own")
    settings = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": prefect.render_as_string(hide_password=False),
        "CASEWRIGHT_DATABASE_URL": own.render_as_string(hide_password=False),
    }
    try:
        for one in (prefect, own):
            postgres.on_server(f'CREATE DATABASE "{one.database}"')
        with site_in(folder, *processes, **settings) as site:
            yield site
    finally:
        for one in (prefect, own):
            postgres.on_server(f'DROP DATABASE IF EXISTS "{one.database}" WITH (FORCE)')


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
