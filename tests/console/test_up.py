"""`up` with small children in the place of Prefect and the flows: order, refusals, a clean end."""

import asyncio
import io
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from case_store import migrate
from case_store.settings import Settings
from console.errors import ChildFailed, HomeBusy, PortTaken
from console.home import held
from console.stopping import until_stopped
from console.supervisor import Plan
from console.up import Site, running

WAITS = "import os, signal; os.write(1, b'ready\\n'); signal.pause()"
FAKES = f"""
import sys
from console.supervisor import Plan
from console.up import Site

def plans(site, base):
    environment, logs, python = site.environment(base), site.home / "logs", (sys.executable, "-c")
    return (
        Plan("server", (*python, {WAITS!r}), environment, logs / "server.log", says="ready"),
        Plan("deploy", (*python, "print('deployed')"), environment, logs / "deploy.log"),
        Plan("serve", (*python, {WAITS!r}), environment, logs / "serve.log", says="ready"),
    )
"""


RUN = """
Site.plans = plans
from console.cli import run
code = run(sys.argv[1:])
print('prefect' in sys.modules or 'flows' in sys.modules)
sys.exit(code)
"""


@pytest.fixture
def fakes(monkeypatch):
    """Stand-ins for the three parts; each may be replaced: `fakes(serve="script")`."""

    def use(**scripts):
        def plans(site, base):
            def plan(name, script, **how):
                command = (sys.executable, "-c", scripts.get(name, script))
                return Plan(name, command, site.environment(base), site.home / "logs" / f"{name}.log", **how)

            server, serve = plan("server", WAITS, says="ready"), plan("serve", WAITS, says="ready", first_delay=0.0)
            return server, plan("deploy", ""), serve

        monkeypatch.setattr(Site, "plans", plans)

    use()
    return use


@pytest.fixture
def screen():
    return Console(file=io.StringIO(), width=120)


async def test_everything_is_up_with_the_database_at_its_newest(fakes, home, screen):
    async with running(home, 0, screen) as site:
        assert site.port > 0
        assert await migrate.check(Settings(home=home).database_url) == []
        said = screen.file.getvalue()
        assert said.index("server ready") < said.index("deploy ready")
        assert "serve ready" in said
    said = screen.file.getvalue()
    assert said.index("stopping serve") < said.index("stopping server")


async def test_the_children_see_this_site_and_no_other(fakes, home, screen, monkeypatch):
    show = "import os; print(*(f'{name}={value}' for name, value in os.environ.items()), sep='\\n')"
    monkeypatch.setenv("PREFECT_API_KEY", "somebody-elses")
    monkeypatch.setenv("PREFECT_API_URL", "https://elsewhere.example/api")
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg://chosen")
    fakes(deploy=show)
    async with running(home, 0, screen) as site:
        seen = dict(line.split("=", 1) for line in (home / "logs" / "deploy.log").read_text().splitlines())
    assert seen["PREFECT_API_URL"] == site.api == f"http://127.0.0.1:{site.port}/api"
    assert seen["CASEWRIGHT_PREFECT_API_URL"] == site.api
    assert seen["PREFECT_HOME"] == str(home / "prefect")
    assert seen["CASEWRIGHT_HOME"] == str(home)
    assert seen["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert seen["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == "postgresql+asyncpg://chosen"
    assert "PREFECT_API_KEY" not in seen
    assert seen["PYTHONSAFEPATH"] == "1", "a folder `flows` in the current directory is not ours"


async def test_a_taken_port_is_refused_before_anything_starts(fakes, home, screen):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortTaken):
            async with running(home, other.getsockname()[1], screen):
                pass
    assert "ready" not in screen.file.getvalue()


async def test_a_second_up_on_the_same_home_is_refused(fakes, home, screen):
    with held(home), pytest.raises(HomeBusy, match=str(os.getpid())):
        async with running(home, 0, screen):
            pass


@pytest.mark.parametrize("part", ["server", "deploy", "serve"])
async def test_a_part_that_fails_ends_the_others_and_shows_its_log(fakes, home, screen, part):
    fakes(**{part: "print('cannot go on'); raise SystemExit(5)"})
    with pytest.raises(ChildFailed, match=rf"{part} ended with code 5[^\0]*cannot go on") as refused:
        async with running(home, 0, screen):
            pass
    assert str(home / "logs" / f"{part}.log") in refused.value.diagnostics()
    with held(home):
        pass


def test_what_runs_is_the_server_then_the_deployments_then_the_worker_with_the_relay(tmp_path):
    server, deploy, serve = Site(tmp_path, 4200).plans({})
    assert list(server.command[1:]) == [
        "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", "4200",
    ]  # fmt: skip
    assert list(deploy.command[1:]) == ["-m", "flows", "deploy"]
    assert list(serve.command[1:]) == ["-m", "flows", "serve"]
    assert serve.says == "ready"


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [(httpx.Response(200, json=True), True), (httpx.Response(503), False), (httpx.ConnectError("refused"), False)],
)
async def test_the_server_is_ready_when_its_api_is_healthy(tmp_path, monkeypatch, answer, healthy):
    async def get(client, url):
        assert url == "http://127.0.0.1:4200/api/health"
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(httpx.AsyncClient, "get", get)
    assert await Site(tmp_path, 4200)._healthy() is healthy


def start_up(home, *words):
    script = (
        FAKES
        + "Site.plans = plans\nfrom console.cli import run\ncode = run(sys.argv[1:])\n"
        + ("print('prefect' in sys.modules or 'flows' in sys.modules)\nsys.exit(code)")
    )
    return subprocess.Popen(
        [sys.executable, "-c", script, "up", "--port", "0", *words],
        env={**os.environ, "CASEWRIGHT_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_in_order_and_well(home, name):
    process = start_up(home)
    for line in process.stdout:
        if "Ctrl-C" in line:
            break
    process.send_signal(name)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert out.splitlines() == ["  stopping serve", "  stopping server", "stopped", "False"]
    assert (home / "up.lock").read_text() == ""


def test_a_second_ctrl_c_ends_it_at_once(home):
    """Whoever cannot wait need not: the children are ended by the watcher."""
    patient = WAITS.replace("import os, signal;", "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);")
    script = FAKES.replace(repr(WAITS), repr(patient)).replace('says="ready"', 'says="ready", stop_limit=3600')
    process = subprocess.Popen(
        [sys.executable, "-c", script + RUN, "up", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if "Ctrl-C" in line:
            process.send_signal(signal.SIGINT)
        if "stopping" in line:
            process.send_signal(signal.SIGINT)
            break
    process.communicate()
    assert process.returncode == 130


def test_where_to_click_and_what_next_is_said(home):
    process = start_up(home)
    said = []
    for line in process.stdout:
        said.append(line)
        if "Ctrl-C" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate()
    told = "".join(said)
    assert "Casewright is up" in told
    assert "http://127.0.0.1:" in told
    assert str(home) in told
    assert "casewright alert send" in told


def test_ctrl_c_while_it_starts_leaves_nothing(home):
    slow = FAKES.replace('says="ready"', 'says="never"', 1)
    script = slow + RUN
    log = home / "logs" / "server.log"
    os.mkfifo(home / "tell")
    script = script.replace(repr(WAITS), repr(f"open({str(home / 'tell')!r}, 'w').write('x')\n{WAITS}"), 1)
    process = subprocess.Popen([sys.executable, "-c", script, "up", "--port", "0"], stdout=subprocess.PIPE, text=True)
    assert (home / "tell").read_text() == "x"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert out.splitlines()[-2:] == ["stopped", "False"]
    assert Path(log).exists()


async def test_work_that_ends_by_itself_is_not_stopped():
    async def done():
        await asyncio.sleep(0)

    assert await until_stopped(done()) is True


async def test_an_error_of_the_work_comes_out():
    async def broken():
        raise ChildFailed

    with pytest.raises(ChildFailed):
        await until_stopped(broken())


async def test_a_signal_stops_the_work():
    async def forever():
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    assert await until_stopped(forever()) is False
