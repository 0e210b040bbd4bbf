"""Tests of ``cbstore doctor`` on healthy databases and on databases with a problem."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cbstore_sql import migrate
from cbstore_sql.cli import main
from cbstore_sql.cli.doctor import activity
from cbstore_sql.cli.doctor.redis import clock_finding
from tests.servers import wheels
from tests.stores.sql.pooler import needs_pgbouncer, transaction_pooler

CHECKS = {
    *("versions", "server", "table", "rights", "row-level security", "isolation", "encoding", "pooler", "push"),
    *("clock", "connections", "autovacuum", "updates", "transactions", "replication"),
}


def examined(capsys: pytest.CaptureFixture[str], url: str, *arguments: str, code: int = 0) -> dict[str, dict[str, Any]]:
    """Run ``cbstore doctor`` and return its findings by check."""
    assert main(["doctor", "--json", "--url", url, *arguments]) == code, capsys.readouterr()
    return {finding["check"]: finding for finding in json.loads(capsys.readouterr().out)}


def execute(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def schema(postgres_url: str) -> Iterator[str]:
    schema = f"doctor_{secrets.token_hex(4)}"
    migrate(postgres_url, schema=schema)
    yield schema
    execute(postgres_url, f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def role(postgres_url: str, schema: str) -> Iterator[tuple[str, str]]:
    """A role with the rights of an application, and its URL."""
    name = f"app_{secrets.token_hex(4)}"
    execute(
        postgres_url,
        f"CREATE ROLE {name} LOGIN PASSWORD 'hunter2'",
        f"GRANT USAGE ON SCHEMA {schema} TO {name}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {name}",
    )
    url = sa.make_url(postgres_url).set(username=name, password="hunter2")
    yield name, url.render_as_string(hide_password=False)
    execute(postgres_url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_a_healthy_postgresql_passes_every_check(
    role: tuple[str, str], schema: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = examined(capsys, role[1], "--schema", schema)
    assert set(found) == CHECKS
    assert {name for name, finding in found.items() if finding["level"] == "wrong"} == set()
    assert [finding["text"] for finding in found.values() if "not checked" in finding["text"]] == []
    assert found["pooler"]["text"].startswith("none")
    assert found["push"]["level"] == "ok"


def test_the_text_has_a_line_for_each_check_with_advice_and_a_summary(
    postgres_url: str, role: tuple[str, str], schema: str, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(postgres_url, f"REVOKE UPDATE ON {schema}.breakers FROM {role[0]}")
    assert main(["doctor", "--url", role[1], "--schema", schema]) == 1
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("WRONG  rights"))
    assert lines[at].endswith(f"role {role[0]} lacks UPDATE on {schema}.breakers")
    assert lines[at + 1].split(maxsplit=1)[1].startswith("run 'cbstore grants --runtime")
    assert lines[-1].startswith(f"{len(CHECKS)} checks: 1 wrong, ")


def spoil(schema: str, name: str) -> dict[str, tuple[str, str]]:
    """Return statements that each cause one problem, with the words of the doctor about it."""
    return {
        "rights": (f"REVOKE USAGE ON SCHEMA {schema} FROM {name}", "lacks USAGE"),
        "row-level security": (f"ALTER TABLE {schema}.breakers ENABLE ROW LEVEL SECURITY", "hidden rows"),
        "autovacuum": (f"ALTER TABLE {schema}.breakers SET (autovacuum_enabled = false)", "is off"),
        "server": (f"ALTER ROLE {name} SET default_transaction_read_only = on", "refuses writes"),
        "connections": (f"ALTER ROLE {name} CONNECTION LIMIT 3", "the role's limit"),
        "table": (f"DELETE FROM {schema}.cbstore_version", "is missing"),
    }


@pytest.mark.parametrize("check", list(spoil("", "")))
def test_a_problem_is_reported_as_wrong_with_advice(
    check: str, postgres_url: str, role: tuple[str, str], schema: str, capsys: pytest.CaptureFixture[str]
) -> None:
    statement, words = spoil(schema, role[0])[check]
    execute(postgres_url, statement)
    finding = examined(capsys, role[1], "--schema", schema, code=1)[check]
    assert finding["level"] == "wrong"
    assert words in finding["text"]
    assert finding["advice"]


@pytest.mark.parametrize(
    ("statement", "check", "words"),
    [
        ("ALTER ROLE {role} SET default_transaction_isolation = 'serializable'", "isolation", "is repeated"),
        ("REVOKE DELETE ON {schema}.breakers FROM {role}", "rights", "neither prune nor clear()"),
    ],
)
def test_a_setting_with_consequences_is_reported_as_a_note(  # noqa: PLR0917 # three of them are fixtures
    statement: str,
    check: str,
    words: str,
    postgres_url: str,
    role: tuple[str, str],
    schema: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    execute(postgres_url, statement.format(role=role[0], schema=schema))
    finding = examined(capsys, role[1], "--schema", schema)[check]
    assert finding["level"] == "note"
    assert words in finding["text"]


@needs_pgbouncer
def test_a_transaction_pooler_is_recognised_and_its_consequences_are_reported(
    postgres_url: str, schema: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with transaction_pooler(postgres_url) as url:
        found = examined(capsys, url, "--schema", schema)
    assert found["pooler"]["level"] == "note"
    assert "transaction mode" in found["pooler"]["text"]
    assert found["push"]["level"] == "note"
    assert "bypasses the pooler" in found["pooler"]["advice"]


def answer(*values: Any) -> activity.ReadRow:
    return lambda statement, *parameters: values


@pytest.mark.parametrize(
    ("finding", "level", "words"),
    [
        (activity.connections(answer(97, 50, -1, 3, -1, 40)), "ok", "50 of 97"),
        (activity.connections(answer(97, 95, -1, 3, -1, 40)), "wrong", "max_connections"),
        (activity.connections(answer(97, 50, -1, 3, 45, 40)), "wrong", "the database's limit"),
        (activity.autovacuum(answer("off", None), "t"), "wrong", "grows with every failure"),
        (activity.updates(answer(0, 0, 0, 0), "t"), "ok", "no update yet"),
        (activity.updates(answer(5000, 4999, 3, 9), "t"), "ok", "100.0% HOT"),
        (activity.updates(answer(5000, 4000, 900, 9), "t"), "note", "80.0% HOT"),
        (activity.transactions(answer(0.0, 2.0, 0)), "ok", "oldest snapshot 2 s"),
        (activity.transactions(answer(4000.0, 4000.0, 0)), "wrong", "longest idle 1 h 7 min"),
        (activity.transactions(answer(0.0, 2.0, 4)), "note", "4 sessions of other roles are hidden"),
        (activity.replication(answer("", "on", 0, 0)), "ok", "0 standbys connected"),
        (activity.replication(answer("s1", "off", 0, 0)), "ok", "synchronous_commit = off"),
        (activity.replication(answer("s1", "on", 1, 0)), "wrong", "none is connected"),
        (activity.replication(answer("s1", "on", 1, 1)), "note", "1 connected"),
        (clock_finding(0.3), "ok", "0.3 s ahead of"),
        (clock_finding(-90.0), "note", "1 min 30 s behind"),
    ],
)
def test_each_number_gives_the_expected_level(finding: Any, level: str, words: str) -> None:
    assert finding.level.value == level
    assert words in finding.text


def test_an_idle_transaction_is_found(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    watching = engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as idle, watching.connect() as observer:
        idle.exec_driver_sql("SELECT txid_current()")

        def row(statement: str, *parameters: Any) -> tuple[Any, ...]:
            return tuple(observer.exec_driver_sql(statement.replace("%", "%%")).one())

        deadline = time.monotonic() + 30
        while "longest idle 0 s," in activity.transactions(row).text:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_sessions_have_the_application_name_cbstore_sql_unless_the_url_sets_one(postgres_url: str) -> None:
    from cbstore_sql.stores.sql.connections.engine import open_engine

    for url, name in (
        (postgres_url, "cbstore_sql"),
        (sa.make_url(postgres_url).update_query_dict({"application_name": "billing"}), "billing"),
    ):
        engine = open_engine(url)
        with contextlib.closing(engine.raw_connection()) as connection:
            driver: Any = connection.driver_connection
            assert driver.execute("SELECT current_setting('application_name')").fetchone() == (name,)
        engine.dispose()


def test_checks_that_need_the_table_report_that_the_table_is_missing(
    postgres_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CBSTORE_SCHEMA", "never_migrated")
    found = examined(capsys, postgres_url, code=1)
    assert found["updates"]["text"] == found["autovacuum"]["text"] == "not checked: there is no table"


def test_every_check_of_a_sqlite_file_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path}/breakers.db"
    migrate(url)
    found = examined(capsys, url)
    assert set(found) == {"versions", "table", "rights", "journal", "integrity"}
    migrate(url)
    execute(url, "DELETE FROM cbstore_version")
    assert examined(capsys, url, code=1)["table"]["advice"].startswith("run 'cbstore migrate'")


def test_every_check_of_a_redis_server_is_made_and_eviction_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    import redis

    with wheels.redis() as url:
        found = examined(capsys, url)
        assert set(found) == {"versions", "role", "scripting", "memory", "persistence", "clients", "clock"}
        assert texts(found.values()) == []
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory", "100mb")
            client.config_set("maxmemory-policy", "allkeys-lru")
        assert "evicting an open circuit closes it" in examined(capsys, url, code=1)["memory"]["text"]


def texts(findings: Any) -> Sequence[str]:
    return [finding["text"] for finding in findings if "not checked" in finding["text"]]


def test_a_redis_without_scripting_is_reported_as_a_note(
    scriptless_redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert examined(capsys, scriptless_redis_url)["scripting"]["level"] == "note"


def test_an_unreachable_database_gives_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--url", "postgresql://me:hunter2@127.0.0.1:1/db"]) == 3
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "hunter2" not in error
