"""PostgreSQL and SQLite."""

from cbstore_sql.stores.sql.store import SqlStore

__all__ = ["SqlStore"]
