"""The program that measures lateness runs a site of its own and prints its table; the figures here mean nothing."""

import os
import subprocess
import sys

from tests.site import DEPLOYED, ROOT, deployed


def test_it_prints_a_row_with_prefect_and_one_without() -> None:
    command = [sys.executable, "-m", "bench.lateness", "--tasks", "5", "--seconds", "3", "--database", "sqlite"]
    environment = {**os.environ, DEPLOYED: str(deployed())}
    done = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:3] for line in done.stdout.splitlines()[-2:]] == [
        ["sqlite", "there", "5"],
        ["sqlite", "away", "5"],
    ]
