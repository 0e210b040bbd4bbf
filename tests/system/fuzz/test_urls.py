"""Any text is accepted as a URL, or is refused with an error of the library that does not show the text."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from hypothesis import example, given

from cbstore_sql import AsyncRedisStore, AsyncSqlStore, make_store
from cbstore_sql.migration import migration_sql
from cbstore_sql.migration.runner import Target
from cbstore_sql.stores.sql.connections.engine import ASYNC_DRIVERS, parse_url
from tests.system.fuzz.hostile import SECRET, mess, parse, urls

SQL = ["postgresql", "postgresql+psycopg", "postgres", "sqlite", "sqlite+aiosqlite", "mysql", "postgresql+asyncpg"]
REDIS = ["redis", "rediss", "unix"]


def opened(store: Any) -> str:
    """Close a store that never connected, and return its repr."""
    with closing(store):
        return repr(store)


@given(urls(SQL) | mess)
@example(f"postgresql://u:{SECRET}@h:99999999999999999999/db")
@example(f"postgresql://u:{SECRET}@[::1/db")
@example(f"postgresql://u:{SECRET}@h/db?\0={SECRET}")
@example(f"host=h password={SECRET}")
def test_any_database_url_is_accepted_or_refused_without_being_shown(url: str) -> None:
    parse(lambda: parse_url(url).drivername)
    parse(lambda: parse_url(url, ASYNC_DRIVERS).drivername)
    parse(lambda: opened(make_store(url)))
    parse(lambda: repr(AsyncSqlStore(url)))


@given(urls(SQL) | mess)
def test_any_url_of_a_migration_is_accepted_or_refused_without_being_shown(url: str) -> None:
    parse(lambda: Target(url))
    parse(lambda: len(migration_sql(url)))


@given(urls(REDIS) | mess)
@example(f"redis://:{SECRET}@h:port")
@example(f"redis://:{SECRET}@[::1/0")
@example(f"redis://:{SECRET}@h/0?ssl_ca_certs=%00")
@example(f"rediss://:{SECRET}@h/0?ssl_cert_reqs={SECRET}")
@example(f"redis://:{SECRET}@h/0?protocol={SECRET}")
def test_any_redis_url_is_accepted_or_refused_without_being_shown(url: str) -> None:
    if url.startswith(tuple(f"{scheme}://" for scheme in REDIS)):
        parse(lambda: opened(make_store(url)))
    parse(lambda: repr(AsyncRedisStore.from_url(url)))
