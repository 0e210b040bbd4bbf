"""What tells two stores apart: processes whose stores have the same identity use the same rows."""

from __future__ import annotations

from cbstore_sql.errors import ConfigurationError
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.sql.connections.pg_options import libpq_defaults
from cbstore_sql.stores.sql.store import SqlStore
from cbstore_sql.stores.sql.store_async import AsyncSqlStore
from cbstore_sql.stores.threaded import ThreadedStore


def identity_of(store: Store | AsyncStore) -> tuple[str, ...]:
    """Return what tells the rows of a store on PostgreSQL apart from those of any other store, without the password.

    A synchronous and an asynchronous store for the same database, schema and namespace have the same identity.

    Args:
        store: The store.

    Raises:
        ConfigurationError: The store is not on PostgreSQL, or uses an engine of the application. The URL of such an
            engine need not say where its connections go.
    """
    if isinstance(store, ThreadedStore):
        return identity_of(store._store)
    if not isinstance(store, (SqlStore, AsyncSqlStore)) or store._engine.dialect.name != "postgresql":
        raise ConfigurationError("share_reads needs a store on PostgreSQL")
    if not store._owned:
        raise ConfigurationError("share_reads needs a store made from a URL, not from an engine: write SqlStore(url)")
    url = store._engine.url.set(drivername="postgresql", password=None)
    return url.render_as_string(), store._queries.schema or "", store.namespace, *libpq_defaults()
