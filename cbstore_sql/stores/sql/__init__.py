"""PostgreSQL and SQLite."""

from cbstore_sql.stores.sql.sync import SqlStore

__all__ = ["SqlStore"]
