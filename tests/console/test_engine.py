"""`worker`, `relay`, `deploy` hand over to the flows side: same process, its signals, its exit code."""

import os
import signal
import subprocess
import sys

import pytest

FAKE = """
import os, signal, sys
print(os.getpid(), os.environ.get("PREFECT_API_URL"), *sys.argv[1:], flush=True)
if "wait" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    while True: signal.pause()
"""


@pytest.fixture
def fake_flows(tmp_path):
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
def test_the_process_becomes_the_part(fake_flows, part):
    process = start(fake_flows, part, "--limit", "3")
    out, _ = process.communicate()
    assert out.split() == [str(process.pid), "http://127.0.0.1:1/api", part, "--limit", "3"]
    assert process.returncode == 0


def test_signals_and_exit_code_are_the_parts_own(fake_flows):
    process = start(fake_flows, "worker", "wait")
    assert process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 7
