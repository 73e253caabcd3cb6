"""The command line starts light: Prefect is never imported by it, and each command imports only what it needs."""

import json
import subprocess
import sys

import pytest

from console.demo.alert import fresh
from tests.console.conftest import NOW

RUN = """
import contextlib, io, json, sys
from console.cli import run
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
    code = run(sys.argv[1:])
print(json.dumps({"code": code, "err": err.getvalue(), "modules": sorted(sys.modules)}))
"""

# What takes long to import. Prefect takes seconds, SQLAlchemy a third of one.
HEAVY = {"prefect", "sqlalchemy", "alembic", "httpx", "aiohttp", "twilio", "fastapi", "flows"}


def imported(*words):
    """Run one command in a process of its own; return its exit code, its errors and the packages it imported."""
    done = subprocess.run([sys.executable, "-c", RUN, *map(str, words)], capture_output=True, check=True, text=True)
    said = json.loads(done.stdout.splitlines()[-1])
    return said["code"], said["err"], {name.partition(".")[0] for name in said["modules"]}


@pytest.mark.parametrize("words", ["--help", "--version", "", "sop list", "sop show phishing", "sop --help"])
def test_light_commands_import_nothing_heavy(home, words):
    _, _, packages = imported(*words.split())
    assert packages & HEAVY == set()


def test_listing_sops_does_not_look_into_their_conditions(home):
    _, _, packages = imported("sop", "list")
    assert "cel" not in packages


@pytest.mark.parametrize("words", ["--help", "--version"])
def test_help_and_version_read_no_settings_and_no_sop(home, words):
    _, _, packages = imported(words)
    assert packages & {"pydantic", "pydantic_settings", "ruamel", "cel", "sop", "case_store"} == set()


EVERY_COMMAND = """
sop check
sop schema
db check
db upgrade
people list
people import {people}
alert send {alert}
alert list
case open --sop phishing --title x
case list
case show 1
case timeline 1
case note 1 x
case attach 1 {alert}
task list
task show 1/extract
task complete 1/extract
case close 1 --resolution x
case cancel 1 --reason x
case reopen 1 --reason x
audit tail
audit export
audit status
audit key history
audit key rotate
witness --log-key nothing
up --help
demo --help
worker --help
relay --help
deploy --help
"""

RUN_ALL = """
import contextlib, io, json, sys
from console.cli import run
for line in sys.stdin:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
        code = run(line.split())
    print(json.dumps([line.strip(), code, err.getvalue(), [n for n in ("prefect", "flows") if n in sys.modules]]))
"""


def test_no_command_imports_prefect_or_the_flows(filled, tmp_path):
    """All of them in one process, one after the other: the first that imports one of them is named."""
    (tmp_path / "alert.json").write_bytes(fresh(NOW))
    (tmp_path / "people.csv").write_text("handle,name\nada,Ada\n")
    commands = EVERY_COMMAND.strip().format(alert=tmp_path / "alert.json", people=tmp_path / "people.csv")
    done = subprocess.run([sys.executable, "-c", RUN_ALL], input=commands, capture_output=True, check=True, text=True)
    for line in done.stdout.splitlines():
        command, code, err, found = json.loads(line)
        assert found == [], command
        assert code in {0, 1, 16}, (command, err)  # 16: nothing signs here, says audit status
        assert "failed:" not in err, (command, err)
    assert len(done.stdout.splitlines()) == len(commands.splitlines())
