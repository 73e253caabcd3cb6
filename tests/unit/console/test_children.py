"""Our processes do not depend on the folder in which the command was called."""

import os
from pathlib import Path

import pytest

from console import children


def test_relative_folders_of_the_caller_stay_the_same_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = children.environment({"CASEWRIGHT_SOPS": f"sops{os.pathsep}/srv/sops", "X": "y"}, Path("var"))
    assert made["CASEWRIGHT_SOPS"] == f"{tmp_path / 'sops'}{os.pathsep}/srv/sops"
    assert made["CASEWRIGHT_HOME"] == str(tmp_path / "var")
    assert made["X"] == "y"


def test_modules_in_the_current_directory_are_not_imported(tmp_path):
    assert children.environment({}, tmp_path)["PYTHONSAFEPATH"] == "1"


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("sqlite+aiosqlite:///cases.db", "sqlite+aiosqlite:///{here}/cases.db"),
        ("sqlite+aiosqlite:////srv/cases.db", "sqlite+aiosqlite:////srv/cases.db"),
        ("sqlite+aiosqlite:///:memory:", "sqlite+aiosqlite:///:memory:"),
        ("postgresql://casewright@db/cases", "postgresql://casewright@db/cases"),
    ],
)
def test_an_sqlite_file_is_named_from_the_root(tmp_path, monkeypatch, url, absolute):
    monkeypatch.chdir(tmp_path)
    made = children.environment({"CASEWRIGHT_DATABASE_URL": url}, tmp_path)
    assert made["CASEWRIGHT_DATABASE_URL"] == absolute.format(here=tmp_path)
