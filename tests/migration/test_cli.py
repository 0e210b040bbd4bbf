from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cbstore_sql.cli import main
from cbstore_sql.migration import migration_sql
from tests.migration.databases import Role, execute, table_names

DONE = {"breakers", "cbstore_version"}


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CBSTORE_URL", "CBSTORE_SCHEMA", "CBSTORE_VERSION_TABLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_migrate_goes_up_and_down(empty_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = "table cbstore.breakers" if empty_url.startswith("postgresql") else "table breakers"
    assert main(["migrate", "--url", empty_url]) == 0
    assert table_names(empty_url) == DONE
    assert main(["migrate", "--url", empty_url, "--downgrade", "base"]) == 0
    assert table_names(empty_url) == {"cbstore_version"}
    assert main(["migrate", "--url", empty_url, "0001"]) == 0
    assert table_names(empty_url) == DONE
    said = capsys.readouterr()
    up, down, again = said.out.splitlines()
    assert up.startswith(f"{table}: migrated from revision base to ")
    assert down.endswith(" to base")
    assert again == f"{table}: migrated from revision base to 0001"
    assert said.err == ""


def test_with_sql_the_command_prints_only_sql(empty_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--url", empty_url, "--sql"]) == 0
    assert main(["migrate", "--url", empty_url, "--sql", "--downgrade", "base"]) == 0
    assert capsys.readouterr().out == migration_sql(empty_url) + migration_sql(empty_url, revision="base", down=True)
    assert table_names(empty_url) == set()


def test_with_sql_and_without_a_url_the_sql_is_for_postgresql(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--sql"]) == 0
    assert capsys.readouterr().out == migration_sql("postgresql")


def test_a_second_migration_says_that_there_is_nothing_to_do(
    empty_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", "--url", empty_url]) == 0
    assert main(["migrate", "--url", empty_url]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith(" already; nothing to do")


def test_check_distinguishes_a_current_an_old_and_a_missing_table(
    empty_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if empty_url.startswith("sqlite"):
        Path(empty_url.removeprefix("sqlite:///")).touch()
    assert main(["migrate", "--url", empty_url, "--check"]) == 1
    assert table_names(empty_url) == set()
    assert main(["migrate", "--url", empty_url, "0001"]) == 0
    assert main(["migrate", "--url", empty_url, "--check"]) == 1
    assert main(["migrate", "--url", empty_url]) == 0
    assert main(["migrate", "--url", empty_url, "--check"]) == 0
    missing, _, old, _, current = capsys.readouterr().out.splitlines()
    assert " is missing; the newest revision is " in missing
    assert " is at revision 0001; the newest revision is " in old
    assert current.endswith(", the newest")


def test_without_a_url_the_command_migrates_a_sqlite_file_in_the_current_folder(tmp_path: Path) -> None:
    assert main(["migrate"]) == 0
    assert table_names(f"sqlite:///{tmp_path}/cbstore.db") == DONE


def test_settings_come_from_the_environment(postgresql_url: str, role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(postgresql_url, *(f"CREATE SCHEMA {name} AUTHORIZATION {role.name}" for name in ("team_a", "team_b")))
    monkeypatch.setenv("CBSTORE_URL", role.url)
    monkeypatch.setenv("CBSTORE_SCHEMA", "team_a")
    monkeypatch.setenv("CBSTORE_VERSION_TABLE", "our_version")
    assert main(["migrate"]) == 0
    assert main(["migrate", "--schema", "team_b"]) == 0
    assert table_names(postgresql_url, "team_a") == {"breakers", "our_version"}
    assert table_names(postgresql_url, "team_b") == {"breakers", "our_version"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--url", "mysql://me:secret@host/x"], 2),
        (["--url", "postgresql://me:secret@127.0.0.1:1/x?connect_timeout=2"], 3),
        (["--url", "sqlite:////nowhere/secret/x.db"], 3),
        (["--url", "redis://me:secret@host/0"], 4),
        (["nonsense"], 2),
        (["--schema", "Not A Schema"], 2),
    ],
)
def test_an_error_is_reported_in_one_line_without_a_password(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", *arguments]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("cbstore: ")
    assert said.err.count("\n") == 1
    assert "secret" not in said.err


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["migrate", "0001", "--downgrade", "base"]])
def test_wrong_usage_gives_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: cbstore" in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.startswith("cbstore ")


def test_help_shows_no_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CBSTORE_URL", "postgresql://me:secret@host/x")
    with pytest.raises(SystemExit, match="0"):
        main(["migrate", "--help"])
    assert "secret" not in capsys.readouterr().out


def test_migrating_needs_no_extra() -> None:
    code = (
        "import sys; sys.modules.update(rich=None, redis=None)\n"
        "from cbstore_sql.cli import main; sys.exit(main(['migrate']))"
    )
    checkout = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": checkout}, capture_output=True)
