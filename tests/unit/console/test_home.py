"""One `up` for each home, on a port that is free."""

import os
import socket
import subprocess
import sys

import pytest

from console.errors import HomeBusy, PortTaken
from console.home import free_port, held, private


def test_a_second_holder_is_refused_and_told_who_holds_it(tmp_path):
    with held(tmp_path / "home"), pytest.raises(HomeBusy, match=f"process {os.getpid()}"), held(tmp_path / "home"):
        pass


def test_the_home_is_free_again_afterwards(tmp_path):
    with held(tmp_path):
        pass
    with held(tmp_path):
        assert (tmp_path / "up.lock").read_text().strip() == str(os.getpid())


def test_the_lock_dies_with_its_process(tmp_path):
    """A lock file left by a killed process keeps nobody out."""
    script = "import sys, os, pathlib\nfrom console.home import held\nwith held(pathlib.Path(sys.argv[1])): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", script, tmp_path], check=False).returncode == 9
    assert (tmp_path / "up.lock").read_text().strip() != ""
    with held(tmp_path):
        assert (tmp_path / "up.lock").read_text().strip() == str(os.getpid())


def test_a_new_home_is_private_and_an_old_one_is_left_as_it_is(tmp_path):
    assert private(tmp_path / "new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "old").mkdir(mode=0o755)
    assert private(tmp_path / "old").stat().st_mode & 0o777 == 0o755


def test_a_taken_port_is_refused():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            free_port(port)


def test_port_zero_is_some_free_port():
    assert free_port(0) > 0


def test_a_number_that_is_no_port_is_refused():
    with pytest.raises(PortTaken, match="70000"):
        free_port(70000)
