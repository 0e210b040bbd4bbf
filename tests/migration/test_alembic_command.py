"""Tests of the command ``alembic`` in a checkout."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import main

from tests.migration.databases import Role, execute, table_names

INI = Path(__file__).parents[2] / "alembic.ini"
DONE = {"breakers", "cbstore_version"}


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """Restore the log level that alembic's command changes."""
    logger = logging.getLogger("alembic")
    before = logger.level
    yield
    logger.setLevel(before)


def alembic(*arguments: str) -> None:
    main(["-c", str(INI), *arguments])


def alembic_apart(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a separate process, in a folder outside the checkout."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CBSTORE_", "PYTHONPATH"))}
    command = [sys.executable, "-m", "alembic", "-c", str(INI), *arguments]
    return subprocess.run(
        command, cwd=folder, env={**environment, **variables}, capture_output=True, text=True, check=True
    )


def test_alembic_goes_up_and_down(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CBSTORE_URL", empty_url)
    alembic("upgrade", "head", "--sql")
    assert "CREATE TABLE" in capsys.readouterr().out
    assert table_names(empty_url) == set(), "printing writes nothing"
    alembic("upgrade", "head")
    assert table_names(empty_url) == DONE
    assert alembic_apart(tmp_path, "current", CBSTORE_URL=empty_url).stdout == "0003 (head)\n"
    alembic("downgrade", "base")
    assert table_names(empty_url) == {"cbstore_version"}


def test_without_a_url_alembic_migrates_a_sqlite_file_in_the_current_folder(tmp_path: Path) -> None:
    done = alembic_apart(tmp_path, "upgrade", "head")
    assert "Running upgrade  -> 0001" in done.stderr
    assert table_names(f"sqlite:///{tmp_path}/cbstore.db") == DONE


def test_schema_and_version_table_come_from_the_environment_with_any_password(
    postgresql_url: str, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(postgresql_url, f"CREATE SCHEMA team_a AUTHORIZATION {role.name}")
    monkeypatch.setenv("CBSTORE_URL", role.url)
    monkeypatch.setenv("CBSTORE_SCHEMA", "team_a")
    monkeypatch.setenv("CBSTORE_VERSION_TABLE", "our_version")
    alembic("upgrade", "head")
    assert table_names(postgresql_url, "team_a") == {"breakers", "our_version"}


def test_alembic_current_needs_no_rights_and_changes_nothing(postgresql_url: str, role: Role, tmp_path: Path) -> None:
    assert alembic_apart(tmp_path, "current", CBSTORE_URL=role.url).stdout == ""
    assert table_names(postgresql_url) == set()


@pytest.mark.parametrize("word", ["://", "password", "sqlalchemy.url"])
def test_the_configuration_file_contains_no_url(word: str) -> None:
    assert not [line for line in INI.read_text().splitlines() if word in line and not line.startswith("#")]
