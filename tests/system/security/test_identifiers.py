"""No identifier of the library needs quoting or is so long that PostgreSQL would cut it."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import ConfigurationError, SqlStore, migrate
from cbstore_sql.core.rules import OPERATIONS
from cbstore_sql.migration import downgrade
from cbstore_sql.stores.sql.push.channel import channel_of
from cbstore_sql.stores.sql.schema.table import VERSION_TABLE, check_identifier, make_table
from cbstore_sql.stores.sql.statements.build import statements_for
from tests.servers.clients import fresh_database

LONGEST = 63
LONGEST_VERSION_TABLE = 59
HOSTILE = [
    "a\n",
    "a\0",
    "a b",
    "a.b",
    'a"',
    "a'",
    "a;",
    "a--",
    "$a",
    "1a",
    "",
    "A",
    "é",
    "a٣",
    "\uff41",
    "a" * 64,
    b"a",
    None,
    1,
]


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_name_that_needs_quoting_or_would_be_cut_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_identifier("schema", name)
    assert repr(name).strip("'") not in str(raised.value) or name in ("", "a", 1)
    with pytest.raises(ConfigurationError):
        channel_of(name)
    with pytest.raises(ConfigurationError):
        migrate("postgresql://nobody@127.0.0.1:1/none", version_table=name)


def test_every_identifier_of_the_table_is_valid() -> None:
    table = make_table("cbstore")
    names = [table.name, VERSION_TABLE, *table.c.keys(), *(str(each.name) for each in table.constraints if each.name)]
    assert len(names) > len(table.c)
    for name in names:
        assert check_identifier("name", name) == name


@pytest.mark.parametrize("length", [1, LONGEST - len("cbstore_"), LONGEST - len("cbstore_") + 1, LONGEST])
def test_a_channel_name_is_never_longer_than_postgresql_allows(length: int) -> None:
    assert len(channel_of("s" * length)) <= LONGEST


def test_a_schema_with_the_longest_name_works(postgres_url: str) -> None:
    schema, neighbour = "s" * LONGEST, "s" * (LONGEST - 1)
    with fresh_database(postgres_url) as (url, _):
        for each in (schema, neighbour):
            migrate(url, schema=each, version_table="v" * LONGEST_VERSION_TABLE)
        with SqlStore(url, schema=schema) as store, SqlStore(url, schema=neighbour) as other:
            assert store.increment_failure("b") == 1
            assert other.read("b").failure_count == 0
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"LISTEN {channel_of(schema)}".encode())
            connection.execute("SELECT pg_notify(%s, 'told')", [channel_of(schema)])
            assert [each.payload for each in connection.notifies(timeout=10.0, stop_after=1)] == ["told"]
        downgrade(url, "base", schema=schema, version_table="v" * LONGEST_VERSION_TABLE)


def test_a_version_table_whose_primary_key_name_would_be_cut_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="59"):
        migrate("postgresql://nobody@127.0.0.1:1/none", version_table="v" * (LONGEST_VERSION_TABLE + 1))


def test_a_reserved_word_works_as_a_schema_name(postgres_url: str) -> None:
    with fresh_database(postgres_url) as (url, _):
        migrate(url, schema="select", version_table="table")
        with SqlStore(url, schema="select") as store:
            assert store.increment_failure("b") == 1


def test_statements_contain_no_name_or_value_of_a_caller() -> None:
    """Names, namespaces and tokens are parameters of every statement, so nothing needs escaping."""
    statements = statements_for("postgresql", "cbstore")
    for name in OPERATIONS:
        given = {parameter for parameter, _ in statements.update[name].parameters}
        assert {"namespace", "name"} <= given
        literals = set(re.findall(r"'([^']*)'", statements.update[name].text))
        history = {literal for literal in literals if re.fullmatch(r"[A-Za-z]{1,3}|;", literal)}  # codes of an entry
        assert literals - history <= {"closed", "open", "half_open", "", "epoch", "count", "score"}


def test_a_breaker_with_a_hostile_name_works(migrated_postgres_url: str) -> None:
    name = "'; DROP TABLE cbstore.breakers; --\"\\ %s $1 :name \u202e\x1b[31m"
    with SqlStore(migrated_postgres_url, namespace=name) as store:
        assert store.increment_failure(name) == 1
        assert list(store.read_many([name, "other"])) == [name, "other"]
        store.clear(name)
    engine = sa.create_engine(migrated_postgres_url, poolclass=sa.NullPool)
    assert "breakers" in sa.inspect(engine).get_table_names("cbstore")
