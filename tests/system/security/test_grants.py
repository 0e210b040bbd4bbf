"""``cbstore grants``: what it prints is run, and then each role can do its work and nothing else."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from cbstore_sql import ConfigurationError, SqlStore, StoreError, migrate, prune
from cbstore_sql.cli import main
from cbstore_sql.cli.grants import Roles, grants_sql
from cbstore_sql.migration import downgrade
from tests.docs.pages import blocks
from tests.system.security.conftest import Granted, run_script

FORBIDDEN = [
    "CREATE TABLE cbstore.mine (i int)",
    "CREATE SCHEMA mine",
    "CREATE INDEX ON cbstore.breakers (state)",
    "CREATE TRIGGER mine BEFORE UPDATE ON cbstore.breakers FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger()",
    "ALTER TABLE cbstore.breakers ADD COLUMN mine int",
    "ALTER TABLE cbstore.breakers DROP CONSTRAINT ck_breakers_state_known",
    "ALTER TABLE cbstore.breakers OWNER TO current_user",
    "DROP TABLE cbstore.breakers",
    "DROP SCHEMA cbstore CASCADE",
    "TRUNCATE cbstore.breakers",
    "SELECT * FROM cbstore.cbstore_version",
    "UPDATE cbstore.cbstore_version SET version_num = '9999'",
    "DELETE FROM cbstore.cbstore_version",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_runtime_role_may_not(granted: Granted, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        run_script(granted.runtime, statement)


def test_the_runtime_role_neither_migrates_nor_drops(granted: Granted) -> None:
    with pytest.raises(StoreError, match="may not create or change it"):
        downgrade(granted.runtime, "base")
    with pytest.raises(StoreError, match="may not create or change it"):
        migrate(granted.runtime, schema="mine")


def test_the_migrator_owns_what_it_made(granted: Granted) -> None:
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'cbstore'"
    with psycopg.connect(granted.admin.replace("+psycopg", "")) as connection:
        assert connection.execute(owners.encode()).fetchall() == [(granted.roles.migrator,)]
    migrate(granted.migrator)


def test_without_delete_breakers_work_and_are_neither_cleared_nor_pruned(granted: Granted) -> None:
    run_script(granted.admin, grants_sql(granted.roles, delete=False))
    with SqlStore(granted.runtime, namespace="without delete") as store:
        store.force_open("b", 0.0)
        claim = store.claim_probe("b")
        assert claim
        assert store.record_success(claim.permit)
        for forget in (lambda: store.clear("b"), lambda: prune(granted.runtime, idle_for=3600)):
            with pytest.raises(StoreError, match="lacks"):
                forget()
    run_script(granted.admin, grants_sql(granted.roles))
    with SqlStore(granted.runtime, namespace="without delete") as store:
        store.clear("b")


def test_a_table_that_an_administrator_made_is_handed_over(granted: Granted) -> None:
    migrate(granted.admin, schema="select", version_table="user")
    script = grants_sql(granted.roles, "select").replace("cbstore_version", "user")
    run_script(granted.admin, script)
    with SqlStore(granted.runtime, schema="select") as store:
        assert store.increment_failure("b") == 1
    downgrade(granted.migrator, "base", schema="select", version_table="user")


def test_a_failure_half_way_leaves_nothing(granted: Granted) -> None:
    script = grants_sql(Roles("never_made", "never_made_either")).replace("COMMIT", "SELECT 1/0; COMMIT")
    with pytest.raises(errors.DivisionByZero):
        run_script(granted.admin, script)
    with psycopg.connect(granted.admin.replace("+psycopg", "")) as connection:
        assert connection.execute(b"SELECT FROM pg_roles WHERE rolname LIKE 'never_made%'").fetchall() == []


def test_the_timeouts_of_the_page_are_those_of_every_session(granted: Granted) -> None:
    settings = next(block for block in blocks("docs/security.md", "sql") if "statement_timeout" in block)
    run_script(granted.admin, settings.replace("cbstore_runtime", granted.roles.runtime))
    with psycopg.connect(granted.runtime.replace("+psycopg", "")) as connection:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
            assert connection.execute(f"SHOW {name}".encode()).fetchall() != [("0",)]
    with SqlStore(granted.runtime, namespace="timeouts") as store:
        assert store.increment_failure("b") == 1


def test_the_command_prints_the_script_with_the_names_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grants", "--schema", "team_a", "--migrator", "owner", "--runtime", "app", "--no-delete"]) == 0
    assert capsys.readouterr().out == grants_sql(Roles("owner", "app"), "team_a", delete=False)
    assert main(["grants"]) == 0
    assert capsys.readouterr().out == grants_sql(Roles("cbstore_migrator", "cbstore_runtime"), "cbstore")


def test_the_command_takes_names_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CBSTORE_SCHEMA", "team_b")
    monkeypatch.setenv("CBSTORE_VERSION_TABLE", "our_version")
    assert main(["grants"]) == 0
    assert '"team_b"."our_version"' in capsys.readouterr().out


@pytest.mark.parametrize("name", ["", "Upper", 'a"; DROP ROLE b; --', "a b", "a" * 64, "é", "public", "none", "pg_x"])
@pytest.mark.parametrize("option", ["--migrator", "--runtime"])
def test_a_role_name_that_needs_quoting_or_means_something_else_is_refused(
    option: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["grants", option, name]) == 2
    assert capsys.readouterr().out == ""


def test_the_two_roles_are_not_the_same() -> None:
    with pytest.raises(ConfigurationError):
        Roles("app", "app")


@pytest.mark.parametrize("name", ["Upper", "a b", "a" * 64])
def test_a_schema_name_that_needs_quoting_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grants", "--schema", name]) == 2
    assert capsys.readouterr().out == ""
