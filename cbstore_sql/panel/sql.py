"""The source of pages over PostgreSQL or SQLite, which reads one page with one statement."""

from __future__ import annotations

from cbstore_sql.deadline import within
from cbstore_sql.panel.source import TIMEOUT, Entry, Page
from cbstore_sql.panel.views import PAGE_SIZE, View
from cbstore_sql.stores.sql.overview import read_overview
from cbstore_sql.stores.sql.store import SqlStore


class SqlPages:
    """Reads pages from an SQL store.

    Args:
        store: The store. The pages show the breakers of every namespace in the store's table.
    """

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def read(self, view: View) -> Page:
        """Read the breakers of one page with one SQL statement.

        Args:
            view: The page to read.

        Raises:
            StoreError: The store cannot be read within 5 seconds.
        """
        with within(TIMEOUT):
            overview = read_overview(
                self._store,
                text=view.text,
                state=view.state,
                sort=view.sort,
                limit=PAGE_SIZE,
                skip=(view.page - 1) * PAGE_SIZE,
                exact=view.exact,
            )
        entries = tuple(Entry(*breaker) for breaker in overview.breakers)
        return Page(overview.as_of, overview.totals, overview.matched, entries)
