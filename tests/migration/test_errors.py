from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cbstore_sql import (
    BreakerPolicy,
    ConfigurationError,
    SchemaError,
    SqlStore,
    StoreError,
    StoreUnavailableError,
    migrate,
)
from cbstore_sql.migration import downgrade, migration_sql
from cbstore_sql.migration.runner import Target
from tests.migration.databases import execute, make_strange_table, qualified, table_names

POLICY = BreakerPolicy()
COMMAND = "run 'cbstore migrate --url …'"


def expect_the_command(url: str) -> None:
    with SqlStore(url) as store:
        for operation in (store.read, lambda name: store.record_failure(name, POLICY), lambda _: store.read_all()):
            with pytest.raises(SchemaError, match=COMMAND):
                operation("llm")


def test_a_missing_table_names_the_command(empty_url: str) -> None:
    expect_the_command(empty_url)
    migrate(empty_url)
    downgrade(empty_url, "base")
    expect_the_command(empty_url)


def test_a_table_that_lacks_a_column_names_the_command(empty_url: str) -> None:
    migrate(empty_url)
    older, current = qualified(empty_url, "older"), qualified(empty_url)
    columns = "namespace, name, state, generation, failure_count, success_count, last_failure_time, open_until"
    execute(
        empty_url,
        f"CREATE TABLE {older} AS SELECT {columns} FROM {current}",
        f"DROP TABLE {current}",
        f"ALTER TABLE {older} RENAME TO breakers",
    )
    expect_the_command(empty_url)


def test_a_foreign_table_with_the_same_name_is_not_changed(empty_url: str) -> None:
    make_strange_table(empty_url)
    with pytest.raises(StoreError):
        migrate(empty_url)
    assert table_names(empty_url) == {"breakers"}


@pytest.mark.parametrize("revision", ["nonsense", "0001:head", "+7", "-1", ""])
def test_an_unknown_revision_is_refused_before_anything_is_written(empty_url: str, revision: str) -> None:
    with pytest.raises(ConfigurationError):
        migrate(empty_url, revision=revision)
    assert table_names(empty_url) == set()


def test_a_table_newer_than_the_library_is_not_changed(empty_url: str) -> None:
    migrate(empty_url)
    execute(empty_url, f"UPDATE {qualified(empty_url, 'cbstore_version')} SET version_num = '9999'")
    for change in (migrate, lambda url: downgrade(url, "base")):
        with pytest.raises(SchemaError, match="newer than this cbstore_sql"):
            change(empty_url)


@pytest.mark.parametrize("names", [{"schema": "No"}, {"version_table": 'x"; --'}, {"version_table": "breakers"}])
def test_an_invalid_name_is_refused_before_anything_is_written(empty_url: str, names: dict[str, Any]) -> None:
    for change in (migrate, migration_sql, lambda url, **names: downgrade(url, "base", **names)):
        with pytest.raises(ConfigurationError):
            change(empty_url, **names)


@pytest.mark.parametrize(
    "place", ["mysql://me:secret@host/x", "postgresql", "nonsense secret", "sqlite://", "postgresql+asyncpg://h/secret"]
)
def test_an_invalid_database_is_refused(place: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        migrate(place)
    assert "secret" not in str(raised.value)


def test_an_unreachable_server_raises_an_error_without_the_password(tmp_path: Path) -> None:
    for url in ("postgresql://me:secret@127.0.0.1:1/x?connect_timeout=2", f"sqlite:///{tmp_path}/secret/none.db"):
        with pytest.raises(StoreUnavailableError) as raised:
            migrate(url)
        assert "secret" not in str(raised.value)


def test_an_engine_of_another_driver_is_refused() -> None:
    engine = sa.create_engine("sqlite+aiosqlite:///x.db")
    for change in (migrate, migration_sql):
        with pytest.raises(ConfigurationError, match="aiosqlite"):
            change(engine)


def test_the_repr_of_a_target_shows_no_password() -> None:
    assert "secret" not in repr(Target("postgresql://me:secret@host/x"))
