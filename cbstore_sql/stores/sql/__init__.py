"""The store on PostgreSQL and SQLite.

======================  ===============================================================
`store`, `store_async`  `SqlStore`, `AsyncSqlStore`
`operations`            each operation of a store as a generator that yields SQL statements
`schema`                the table and the SQL functions that dialects spell differently
`statements`            the SQL text, built from `core.rules`
`connections`           engines, pools and libpq
`push`                  LISTEN and NOTIFY
`identity`              what tells the rows of two stores apart
`retry`                 classifies a failed statement, and tells whether to repeat the statement
`sqlstates`             PostgreSQL's error codes by name
`reasons`               why a database cannot be used, in words without secrets
`errors`                translates driver errors into the library's errors
`overview`              one page of a list of breakers, in one statement
`prune`                 deletes breakers that are no longer used
======================  ===============================================================
"""

from cbstore_sql.stores.sql.store import SqlStore

__all__ = ["SqlStore"]
