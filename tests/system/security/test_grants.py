"""Tests of the script of ``cbstore grants``: each role can do its work and nothing else."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import psycopg.sql
import pytest
import sqlalchemy as sa
from psycopg import errors

from cbstore_sql import ConfigurationError, SqlStore, StoreError, migrate, prune
from cbstore_sql.cli import main
from cbstore_sql.cli.grants import Roles, grants_sql
from cbstore_sql.migration import downgrade
from tests.docs.pages import blocks
from tests.servers.clients import fresh_database
from tests.system.security.conftest import SECRET, Granted, as_role, run_script

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
def test_the_runtime_role_is_refused_every_other_statement(granted: Granted, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        run_script(granted.runtime, statement)


def test_the_runtime_role_can_neither_migrate_nor_drop_the_table(granted: Granted) -> None:
    with pytest.raises(StoreError, match="may not create or change it"):
        downgrade(granted.runtime, "base")
    with pytest.raises(StoreError, match="may not create or change it"):
        migrate(granted.runtime, schema="mine")


def test_the_migrator_owns_the_tables(granted: Granted) -> None:
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'cbstore'"
    with psycopg.connect(granted.admin.replace("+psycopg", "")) as connection:
        assert connection.execute(owners.encode()).fetchall() == [(granted.roles.migrator,)]
    migrate(granted.migrator)


def test_without_the_right_to_delete_breakers_work_but_cannot_be_cleared_or_pruned(granted: Granted) -> None:
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


def test_a_table_made_by_an_administrator_changes_its_owner(granted: Granted) -> None:
    migrate(granted.admin, schema="select", version_table="user")
    script = grants_sql(granted.roles, "select").replace("cbstore_version", "user")
    run_script(granted.admin, script)
    with SqlStore(granted.runtime, schema="select") as store:
        assert store.increment_failure("b") == 1
    downgrade(granted.migrator, "base", schema="select", version_table="user")


def test_a_script_that_fails_creates_no_role(granted: Granted) -> None:
    script = grants_sql(Roles("never_made", "never_made_either")).replace("COMMIT", "SELECT 1/0; COMMIT")
    with pytest.raises(errors.DivisionByZero):
        run_script(granted.admin, script)
    with psycopg.connect(granted.admin.replace("+psycopg", "")) as connection:
        assert connection.execute(b"SELECT FROM pg_roles WHERE rolname LIKE 'never_made%'").fetchall() == []


def test_the_timeouts_of_the_page_apply_to_every_session(granted: Granted) -> None:
    settings = next(block for block in blocks("docs/security.md", "sql") if "statement_timeout" in block)
    run_script(granted.admin, settings.replace("cbstore_runtime", granted.roles.runtime))
    with psycopg.connect(granted.runtime.replace("+psycopg", "")) as connection:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
            assert connection.execute(f"SHOW {name}".encode()).fetchall() != [("0",)]
    with SqlStore(granted.runtime, namespace="timeouts") as store:
        assert store.increment_failure("b") == 1


def test_the_command_prints_the_script_with_the_given_names(capsys: pytest.CaptureFixture[str]) -> None:
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


@pytest.mark.parametrize("name", ["", "a" * 64, "é" * 32, "public", "none", "pg_x", "a$cbstore$b", "\ud800"])
@pytest.mark.parametrize("option", ["--migrator", "--runtime", "--operator", "--reader"])
def test_a_role_name_that_postgresql_does_not_accept_is_refused(
    option: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["grants", option, name]) == 2
    assert capsys.readouterr().out == ""


STRANGE = ["App-User", 'a"; DROP ROLE b; --', "it's 100%I {braces}", "Größe"]


@pytest.fixture
def managed(postgres_url: str) -> Iterator[str]:
    """The URL of the owner of a database, who may create roles but is not a superuser, as on managed services."""
    owner = f"owner_{secrets.token_hex(4)}"
    with fresh_database(postgres_url) as (admin, _):
        run_script(admin, f"CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD '{SECRET}'")
        database = sa.make_url(admin).database
        run_script(admin, f"ALTER DATABASE {database} OWNER TO {owner}")
        yield as_role(admin, owner)
        run_script(admin, f"ALTER DATABASE {database} OWNER TO CURRENT_USER")
        made = "SELECT rolname FROM pg_roles WHERE rolname LIKE '%managed%'"
        with psycopg.connect(admin.replace("+psycopg", ""), autocommit=True) as connection:
            for (name,) in [*connection.execute(made.encode()).fetchall(), (owner,)]:
                role = psycopg.sql.Identifier(name)
                connection.execute(psycopg.sql.SQL("DROP OWNED BY {} CASCADE").format(role))
            for (name,) in [*connection.execute(made.encode()).fetchall(), (owner,)]:
                connection.execute(psycopg.sql.SQL("DROP ROLE {}").format(psycopg.sql.Identifier(name)))


@pytest.mark.parametrize("strange", ["plain", *STRANGE])
def test_an_owner_with_createrole_can_set_up_four_roles_with_any_names(managed: str, strange: str) -> None:
    suffix = f"{strange} managed {secrets.token_hex(2)}"
    roles = Roles(f"m {suffix}", f"a {suffix}", f"o {suffix}", f"r {suffix}")
    names = (roles.migrator, roles.runtime, str(roles.operator), str(roles.reader))
    run_script(managed, grants_sql(roles))
    with psycopg.connect(managed.replace("+psycopg", ""), autocommit=True) as connection:
        for name in names:
            password = psycopg.sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(password.format(psycopg.sql.Identifier(name), psycopg.sql.Literal(SECRET)))
    migrator, application, operator, reader = (as_role(managed, name) for name in names)
    migrate(migrator)
    run_script(managed, grants_sql(roles, delete=False))
    with SqlStore(application) as store:
        assert store.record_failure("b") is not None
        with pytest.raises(StoreError, match="lacks"):
            store.clear("b")
    with SqlStore(operator) as store:
        store.force_open("b", 1.0)
        store.clear("b")
        assert prune(operator, idle_for=3600.0) == 0
    with SqlStore(reader) as store:
        assert store.read_all() == []
        with pytest.raises(StoreError, match="lacks"):
            store.force_open("b", 1.0)
    assert main(["migrate", "--check", "--url", reader]) == 0
    for url in (application, operator, reader):
        with pytest.raises(StoreError, match="may not create or change it"):
            downgrade(url, "base")


def test_two_roles_with_the_same_name_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        Roles("app", "app")


@pytest.mark.parametrize("name", ["Upper", "a b", "a" * 64])
def test_a_schema_name_that_needs_quoting_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grants", "--schema", name]) == 2
    assert capsys.readouterr().out == ""
