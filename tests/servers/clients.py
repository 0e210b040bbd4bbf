"""What the fixtures do on a running server: check that it answers, and create a database for this run."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

import pytest
import redis
import sqlalchemy as sa


@contextlib.contextmanager
def fresh_database(server_url: str) -> Iterator[tuple[str, str]]:
    """Create a database, yield its URL and the server's version, and drop the database at the end."""
    url = sa.make_url(server_url).set(drivername="postgresql+psycopg")
    name = f"cbstore_test_{secrets.token_hex(6)}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    version = _execute(engine, f"CREATE DATABASE {name}", "SHOW server_version")
    try:
        yield url.set(database=name).render_as_string(hide_password=False), version
    finally:
        _execute(engine, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(engine: sa.Engine, *statements: str) -> str:
    """Run statements, and return the value of the last one, if it has one."""
    try:
        with engine.connect() as connection:
            results = [connection.exec_driver_sql(statement) for statement in statements]
            return str(results[-1].scalar()).split()[0] if results[-1].returns_rows else ""
    except sa.exc.DBAPIError as error:
        raise pytest.fail.Exception(f"PostgreSQL cannot be used: {error.orig}", pytrace=False) from None


def redis_version(url: str) -> str:
    try:
        with redis.Redis.from_url(url) as client:
            return str(client.info("server")["redis_version"])
    except redis.RedisError as error:
        raise pytest.fail.Exception(f"Redis cannot be used: {error}", pytrace=False) from None
