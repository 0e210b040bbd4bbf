"""A ``search_path`` with other functions before PostgreSQL's own functions has no effect."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from cbstore_sql import BreakerPolicy, SqlStore, State

SHADOWS = (
    "clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT ''epoch''::timestamptz'",
    "date_part(text, timestamptz) RETURNS float8 LANGUAGE sql AS 'SELECT 0.0::float8'",
    "floor(float8) RETURNS float8 LANGUAGE sql AS 'SELECT 0.0::float8'",
    "substr(text, integer, integer) RETURNS text LANGUAGE sql AS 'SELECT ''shadowed''::text'",
    "concat(VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT ''shadowed''::text'",
    "json_array_elements_text(json) RETURNS SETOF text LANGUAGE sql AS 'SELECT ''shadowed''::text'",
)


@pytest.fixture
def shadowed(migrated_postgres_url: str) -> Iterator[str]:
    """The URL of a database whose sessions find functions of another schema first."""
    schema = f"shadows_{uuid.uuid4().hex[:8]}"
    engine = sa.create_engine(migrated_postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
        for function in SHADOWS:
            connection.exec_driver_sql(f"CREATE FUNCTION {schema}.{function}")
    url = sa.make_url(migrated_postgres_url).update_query_dict({"options": f"-csearch_path={schema},pg_catalog"})
    yield url.render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")


def test_statements_name_the_schema_of_their_functions(shadowed: str) -> None:
    policy = BreakerPolicy(failure_threshold=1, recovery_timeout=0.0)
    with SqlStore(shadowed, namespace=uuid.uuid4().hex) as store:
        store.record_failure("b", policy)
        claim = store.claim_probe("b", policy)
        assert claim is not None
        assert claim.snapshot.as_of > 1.7e9
        assert claim.snapshot.probe_until > 1.7e9
        store.record_success(claim.permit, policy)
        assert store.read_many(["b"])["b"].state is State.CLOSED
        assert [entry.cause for entry in store.history("b")] == ["count", "probe_claimed", "probe_succeeded"]
        assert all(entry.at > 1.7e9 for entry in store.history("b"))
