"""Everything on one machine: the Prefect server, and one process with worker and relay."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.status import Status

from console import children
from console.home import HOST, free_port, held
from console.stopping import until_stopped
from console.supervisor import Plan, Supervisor

DEFAULT_PORT = 4200
"""Prefect's own."""


@dataclass(frozen=True)
class Site:
    """One running Casewright on this machine."""

    home: Path
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    """What this site sets in the environment of its processes beside what the user has set."""

    @property
    def ui(self) -> str:
        """Where people click."""
        return f"http://{HOST}:{self.port}"

    @property
    def api(self) -> str:
        """Where programs ask Prefect."""
        return f"{self.ui}/api"

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the children: this site's Prefect, and no other that the user may have set up."""
        own = {
            "CASEWRIGHT_PREFECT_API_URL": self.api,
            "CASEWRIGHT_PREFECT_UI_URL": self.ui,
            "PREFECT_HOME": str(self.home.absolute() / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PYTHONUNBUFFERED": "1",
        }
        foreign = {"PREFECT_API_KEY", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH", "PREFECT_API_AUTH_STRING"}
        kept = {name: value for name, value in base.items() if name not in foreign}
        return children.environment(kept, self.home) | own | dict(self.settings)

    def plans(self, base: Mapping[str, str]) -> tuple[Plan, Plan, Plan]:
        """Return what runs, in order: the server, the deployments (once), the worker with the relay."""
        environment = self.environment(base)
        python, logs = (sys.executable, "-m"), self.home / "logs"
        server = Plan(
            "Prefect server",
            (*python, "prefect", "server", "start", "--host", HOST, "--port", str(self.port)),
            environment,
            logs / "prefect-server.log",
            self.home,
            probe=self._healthy,
        )
        deploy = Plan("deployments", (*python, "flows", "deploy"), environment, logs / "deploy.log", self.home)
        serve = Plan(
            "worker and relay",
            (*python, "flows", "serve"),
            environment,
            logs / "serve.log",
            self.home,
            says="ready",
            stop_limit=20.0,
        )
        return server, deploy, serve

    def pages(self, base: Mapping[str, str]) -> Plan | None:
        """Return what serves the pages behind links; None where messages carry none."""
        environment = self.environment(base)
        if not environment.get("CASEWRIGHT_PUBLIC_URL"):
            return None
        command = (sys.executable, "-m", "console", "web", "--host", HOST)
        return Plan("pages", command, environment, self.home / "logs" / "web.log", self.home, says="pages at")

    async def _healthy(self) -> bool:
        import httpx

        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            with suppress(httpx.HTTPError):
                return (await client.get(f"{self.api}/health")).is_success
        return False


class Teller:
    """Tells a person at the terminal what goes on: a spinner with seconds while something starts, then one line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._began: dict[str, float] = {}

    def starting(self, name: str) -> None:
        """Show it in the spinner."""
        self._began[name] = time.monotonic()
        if self._status is None:
            self._status = self._console.status(f"{name} …")
            self._status.start()
            self._ticking = asyncio.create_task(self._tick(self._status))

    def ready(self, name: str, seconds: float) -> None:
        """Say that it is ready."""
        self._console.print(f"  {name} ready ({seconds:.1f} s)")
        self._over(name)

    def died(self, name: str, code: int, again_in: float) -> None:
        """Say that it ended by itself."""
        self._console.print(f"  {name} ended with code {code}; starting it again in {again_in:.0f} s")

    def stopping(self, name: str) -> None:
        """Say that it is being ended."""
        self.quiet()
        self._console.print(f"  stopping {name}")

    def quiet(self) -> None:
        """Take the spinner away."""
        if self._ticking:
            self._ticking.cancel()
        if self._status:
            self._status.stop()
        self._status = self._ticking = None

    def _over(self, name: str) -> None:
        self._began.pop(name, None)
        if not self._began:
            self.quiet()

    async def _tick(self, status: Status) -> None:
        while True:
            now = time.monotonic()
            status.update("  ".join(f"{name} … {now - began:.0f} s" for name, began in self._began.items()))
            await asyncio.sleep(0.5)


@asynccontextmanager
async def running(
    home: Path, port: int, console: Console, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Site]:
    """Have everything up while the context lasts; the database is brought up to date first.

    Args:
        home: The folder of the data.
        port: Where the Prefect server listens.
        console: Where to say what is happening.
        settings: Environment variables for its processes, beside what the user has set.

    Raises:
        HomeBusy: Another `up` runs on this home.
        PortTaken: Something else listens on the port.
        ChildFailed: A part did not start.
    """
    with held(home):
        site = Site(home, free_port(port), settings or {})
        teller = Teller(console)
        async with Supervisor(teller) as supervisor:
            try:
                await _start(site, supervisor)
                yield site
            finally:
                teller.quiet()


async def _start(site: Site, supervisor: Supervisor) -> None:
    server, deploy, serve = site.plans(os.environ)
    await _together(supervisor.start(server), _upgrade(site))
    pages = site.pages(os.environ)
    await _together(
        supervisor.run_once(deploy), supervisor.start(serve), *([supervisor.start(pages)] if pages is not None else [])
    )


async def _together(*parts: Coroutine[None, None, None]) -> None:
    """Run the parts side by side; the first error ends the others and is raised as it is."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _upgrade(site: Site) -> None:
    from case_store import migrate
    from case_store.settings import Settings

    await migrate.upgrade(Settings(home=site.home).database_url)


async def up(home: Path, port: int, console: Console) -> int:
    """Run until Ctrl-C, SIGTERM or a closed terminal; then end everything."""
    await until_stopped(_hold(home, port, console, time.monotonic()))
    console.print("stopped")
    return 0


async def _hold(home: Path, port: int, console: Console, began: float) -> None:
    async with running(home, port, console) as site:
        console.print(f"Casewright is up ({time.monotonic() - began:.1f} s)")
        console.print(f"  click here     {site.ui}")
        console.print(f"  data and logs  {site.home}")
        console.print("  next           casewright alert send FILE      (Ctrl-C here stops everything)")
        await asyncio.Event().wait()
