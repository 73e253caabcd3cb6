"""What happens to a test whose PostgreSQL or Chromium is not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOWHERE = {"CASEWRIGHT_TEST_POSTGRES_URL": "postgresql://postgres@127.0.0.1:1", "CASEWRIGHT_TEST_CHROMIUM": "/nowhere"}


def run_a_test_that_asks_for(fixture: str, folder: Path, ci: str) -> str:
    (folder / "test_it.py").write_text(f"def test_it({fixture}):\n    assert {fixture}\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-rs"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), str(folder)]
    environment = os.environ | NOWHERE | {"CI": ci}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(("fixture", "how_to_get_it"), [("postgres_url", "postgresql"), ("chromium", "chromium")])
def test_is_skipped_with_how_to_get_it_locally_and_fails_in_ci(fixture: str, how_to_get_it: str, tmp_path: Path):
    locally = run_a_test_that_asks_for(fixture, tmp_path, ci="")
    assert "1 skipped" in locally
    assert f"apt-get install {how_to_get_it}" in locally

    in_ci = run_a_test_that_asks_for(fixture, tmp_path, ci="true")
    assert "1 error" in in_ci
    assert f"apt-get install {how_to_get_it}" in in_ci


def test_no_test_reaches_the_network(tmp_path: Path):
    (tmp_path / "test_it.py").write_text(
        "import socket\n\ndef test_it():\n    socket.create_connection(('192.0.2.1', 80), timeout=1)\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    command += ["--rootdir", str(tmp_path), str(tmp_path)]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert "SocketConnectBlockedError" in output
    assert "1 failed" in output
