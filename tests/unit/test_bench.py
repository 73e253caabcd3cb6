"""The programs that measure run, and print their tables; what they measure here means nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TINY = {
    "audit": ["--rounds", "1", "--seconds", "0.1", "--events", "50", "--database", "sqlite"],
    "escalation": ["--tasks", "400", "--database", "sqlite"],
    "export": ["--events", "300", "--database", "sqlite"],
    "verify": ["--events", "300", "--replayed", "30"],
}


@pytest.mark.parametrize("name", TINY)
def test_the_program_prints_a_table_with_a_ratio(name: str) -> None:
    command = [sys.executable, "-m", f"bench.{name}", *TINY[name]]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if len(line.split("  ")) > 3], done.stdout
