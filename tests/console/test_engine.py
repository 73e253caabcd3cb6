"""`worker`, `relay`, `deploy` hand over to the flows side: same process, its signals, its exit code."""

import os
import signal
import subprocess
import sys

import pytest

FAKE = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print(os.getpid(), os.getcwd(), os.environ.get("PREFECT_API_URL"), *sys.argv[1:], flush=True)
while "wait" in sys.argv:
    signal.pause()
"""


@pytest.fixture
def fake_flows(tmp_path, home):
    """A `flows` package that says how it was called."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").touch()
    (tmp_path / "flows" / "__main__.py").write_text(FAKE)
    return {**os.environ, "PYTHONPATH": str(tmp_path), "CASEWRIGHT_PREFECT_API_URL": "http://127.0.0.1:1/api"}


def start(environment, *words):
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "console", *words], env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("part", ["worker", "relay", "deploy"])
def test_the_process_becomes_the_part_in_our_home(fake_flows, home, part):
    process = start(fake_flows, part, "--limit", "3")
    out, _ = process.communicate()
    assert out.split() == [str(process.pid), str(home), "http://127.0.0.1:1/api", part, "--limit", "3"]
    assert process.returncode == 0


def test_signals_and_exit_code_are_the_parts_own(fake_flows):
    process = start(fake_flows, "worker", "wait")
    assert process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 7


def test_prefects_own_setting_counts_where_ours_is_not_set(fake_flows):
    del fake_flows["CASEWRIGHT_PREFECT_API_URL"]
    out, _ = start({**fake_flows, "PREFECT_API_URL": "http://127.0.0.1:2/api"}, "relay").communicate()
    assert "http://127.0.0.1:2/api" in out
