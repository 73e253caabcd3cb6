"""The locks and the set-up: what `make setup` promises to somebody who has Python, git and make."""

import ast
import os
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "requirements" / "requirements.txt"
DEVELOPMENT = ROOT / "requirements" / "requirements-dev.txt"
# What comes along with a dependency that is declared, in the version that it needs.
COMES_ALONG = {"pydantic-core": "pydantic", "ruamel-yaml-clib": "ruamel.yaml", "websockets": "prefect"}
# Stand-ins for tests, shipped with the product; they need what development needs.
FOR_TESTS = ROOT / "notifiers" / "testing"
# Dependencies that no file of ours imports, each with its reason.
NOT_IMPORTED = {
    "aiosqlite": "SQLAlchemy's driver for SQLite",
    "asyncpg": "SQLAlchemy's driver for PostgreSQL",
    "fastapi": "Prefect's; held back",
}
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text())


def entries(lock: Path) -> list[str]:
    """Split a lock into its entries, each with its hashes and without comments."""
    text = re.sub(r"(?m)^\s*#.*\n", "", lock.read_text())
    return [entry.strip() for entry in re.split(r"(?m)^(?=\S)", text) if entry.strip()]


def locked(lock: Path) -> dict[str, set[str]]:
    """Read a lock: canonical name to its versions (more than one where Pythons differ)."""
    versions: dict[str, set[str]] = {}
    for entry in entries(lock):
        requirement = Requirement(entry.split("\\")[0])
        versions.setdefault(canonicalize_name(requirement.name), set()).add(
            str(requirement.specifier).removeprefix("==")
        )
    return versions


@pytest.mark.parametrize("lock", [RUNTIME, DEVELOPMENT], ids=lambda lock: lock.name)
def test_lock_pins_every_package_by_hash_and_names_no_index(lock: Path):
    for entry in entries(lock):
        assert re.match(r"[a-z0-9._-]+==\S+", entry)
        assert "--hash=sha256:" in entry
        assert "://" not in entry
    assert not re.search(r"(?m)^\s*--?(i|f|index-url|extra-index-url|find-links|trusted-host)\b", lock.read_text())


def test_lock_is_in_step_with_the_metadata():
    """`make lock` was said after the last change of a dependency."""
    development = [group for group in METADATA["dependency-groups"]["dev"] if isinstance(group, str)]
    for lock, wanted in ((RUNTIME, METADATA["project"]["dependencies"]), (DEVELOPMENT, development)):
        versions = locked(lock)
        for requirement in map(Requirement, wanted):
            found = versions.get(canonicalize_name(requirement.name), set())
            assert found, f"{lock.name} lacks {requirement.name}: say `make lock`"
            assert all(requirement.specifier.contains(version) for version in found), f"{requirement}: say `make lock`"


def test_development_has_exactly_the_versions_of_the_product():
    development = locked(DEVELOPMENT)
    assert {name: development.get(name) for name in locked(RUNTIME)} == locked(RUNTIME)


def imported_by_the_product() -> set[str]:
    """Name every distribution that a product file imports from, wherever in the file it does so."""
    names = set()
    for package in METADATA["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        for path in (ROOT / package).rglob("*.py"):
            if path.is_relative_to(FOR_TESTS):
                continue
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module.split(".")[0])
    distributions = packages_distributions()
    found = {canonicalize_name(one) for name in names for one in distributions.get(name, ())}
    return found - {"casewright"} - COMES_ALONG.keys()


def test_what_the_product_imports_is_declared_and_the_other_way_round():
    declared = {canonicalize_name(Requirement(one).name) for one in METADATA["project"]["dependencies"]}
    imported = imported_by_the_product()
    assert imported - declared == set()
    assert declared - imported - NOT_IMPORTED.keys() == set()
    assert NOT_IMPORTED.keys() & imported == set()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with only the set-up in it, and no .venv."""
    (tmp_path / "requirements").mkdir()
    shutil.copy(ROOT / "requirements" / "setup.sh", tmp_path / "requirements")
    return tmp_path


def pretend_python(folder: Path, script: str) -> Path:
    python = folder / "python3.x"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return python


def set_up(clone: Path, python: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "requirements" / "setup.sh", "requirements/requirements.txt"],
        env=os.environ | {"PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_old_python_is_refused_with_the_next_step(clone: Path):
    old = pretend_python(clone, 'case $1 in --version) echo "Python 3.9.2";; *) exit 1;; esac')
    result = set_up(clone, old)
    assert result.returncode == 1
    assert "it needs Python 3.11 or newer" in result.stderr
    assert "Python 3.9.2" in result.stderr
    assert "next: install it" in result.stderr


def test_a_python_without_venv_is_refused_with_the_package_to_install(clone: Path):
    bare = pretend_python(clone, 'case "$1 $2" in "-m venv") exit 1;; *) echo "Python 3.11.2";; esac')
    result = set_up(clone, bare)
    assert result.returncode == 1
    assert "apt-get install python3-venv" in result.stderr
    assert not (clone / ".venv").exists()
