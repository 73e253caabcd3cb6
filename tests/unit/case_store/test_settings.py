"""Settings come from the environment, keep secrets secret, and load no database code."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from case_store.engines import parse_url
from case_store.settings import Settings


def test_by_default_the_database_is_a_file_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert settings.database_url == f"sqlite+aiosqlite:///{tmp_path}/var/casewright.db"
    assert settings.blobs == Path("var/evidence")


def test_home_moves_the_database_and_the_evidence(home: Path):
    settings = Settings()
    assert settings.database_url == f"sqlite+aiosqlite:///{home}/casewright.db"
    assert settings.blobs == home / "evidence"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_postgresql_gets_our_driver(scheme: str):
    assert Settings(database_url=f"{scheme}://ann@db/cases").database_url == "postgresql+asyncpg://ann@db/cases"


def test_a_password_beside_the_url_is_put_into_it_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CASEWRIGHT_DATABASE_URL", "postgresql://ann@db/cases")
    monkeypatch.setenv("CASEWRIGHT_DATABASE_PASSWORD", "s/e:c@r%t")
    monkeypatch.setenv("CASEWRIGHT_SMTP_PASSWORD", "geheim")
    settings = Settings()
    url = parse_url(settings.database_url)
    assert (url.username, url.password, url.host) == ("ann", "s/e:c@r%t", "db")
    assert settings.smtp_password == SecretStr("geheim")
    for secret in ("s/e", "s%2Fe", "geheim"):
        assert secret not in repr(settings)
        assert secret not in str(settings)


def test_a_password_in_the_url_stays(monkeypatch: pytest.MonkeyPatch):
    url = Settings(database_url="postgresql://ann:own@db/cases", database_password=SecretStr("other")).database_url
    assert parse_url(url).password == "own"


def test_lists_are_written_as_people_write_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CASEWRIGHT_SOPS", "/srv/sops:./mine:")
    monkeypatch.setenv("CASEWRIGHT_ACTIONS", "acme.actions, acme.more ,")
    monkeypatch.setenv("CASEWRIGHT_WITNESSES", "http://one KEY+1+A= , http://two KEY+2+B/=")
    settings = Settings()
    assert settings.witnesses == ("http://one KEY+1+A=", "http://two KEY+2+B/=")
    assert settings.sops == (Path("/srv/sops"), Path("mine"))
    assert settings.actions == ("acme.actions", "acme.more")


def test_a_setting_that_makes_no_sense_is_refused_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CASEWRIGHT_SMTP_PORT", "99999")
    with pytest.raises(ValidationError, match="smtp_port"):
        Settings()


def test_every_setting_says_what_it_is_for():
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize("module", ["case_store.settings", "case_store.errors", "case_store.actor", "case_store.ids"])
def test_the_command_line_may_import_it_before_any_database_code(module: str):
    code = f"import sys, {module}; print(*sorted({{'sqlalchemy', 'alembic', 'prefect', 'asyncpg'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
