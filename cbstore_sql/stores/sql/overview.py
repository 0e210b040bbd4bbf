"""One page of a list of breakers, read in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cbstore_sql.core.history import HistoryEntry, decode_history
from cbstore_sql.core.model import ANSWER_COLUMNS, Snapshot
from cbstore_sql.runtime import sansio
from cbstore_sql.stores.sql.retry import Effect
from cbstore_sql.stores.sql.statements.decode import to_snapshot
from cbstore_sql.stores.sql.statements.overview import TOTALS, overview_statement
from cbstore_sql.stores.sql.store import SqlStore

_CLOCK = len(TOTALS)
_MATCHED = _CLOCK + 1
_NAMESPACE, _NAME, _FIRST = _MATCHED + 1, _MATCHED + 2, _MATCHED + 3
_HISTORY = _FIRST + len(ANSWER_COLUMNS) + 1


@dataclass(frozen=True, slots=True)
class Overview:
    """One page.

    Attributes:
        as_of: The database's clock, Unix seconds.
        totals: How many breakers the table has by state, and with an override (``"override"``).
        matched: How many breakers the filter lets through, on all pages.
        breakers: Namespace, snapshot and history of each breaker of the page.
    """

    as_of: float
    totals: Mapping[str, int]
    matched: int
    breakers: tuple[tuple[str, Snapshot, tuple[HistoryEntry, ...]], ...]


def read_overview(  # what a page can differ in
    store: SqlStore,
    *,
    text: str = "",
    state: str = "",
    sort: str = "worst",
    limit: int = 100,
    skip: int = 0,
    exact: tuple[str, str] | None = None,
) -> Overview:
    """Read one page of the breakers of every namespace.

    Args:
        store: Where they are.
        text: Only breakers whose name or namespace has this in it; ``""`` for all.
        state: Only those in this state, or ``"override"`` for those with one; ``""`` for all.
        sort: ``"worst"``, ``"name"``, ``"failures"`` or ``"changed"`` (the last failure first).
        limit: The most breakers to return.
        skip: How many to leave out before those.
        exact: Only the breaker of this namespace and name; the other filters are then ignored.

    Raises:
        StoreError: The table cannot be read.
    """
    operations = store._queries
    statement = overview_statement(operations.dialect, operations.table_schema, sort, limit, exact=exact is not None)
    parameters: dict[str, object] = {"names": text, "state": state, "others": skip, "now": None}
    if exact is not None:
        parameters = {"namespace": exact[0], "name": exact[1], "now": None}
    rows = sansio.run(operations.rows(statement, parameters, Effect.READ_ONLY), store._execute)
    first = rows[0]
    breakers = tuple(
        (row[_NAMESPACE], to_snapshot(row[_NAME], row[_FIRST:_HISTORY]), decode_history(row[_HISTORY]))
        for row in rows
        if row[_NAME] is not None
    )
    return Overview(first[_CLOCK], dict(zip(TOTALS, first, strict=False)), first[_MATCHED] or 0, breakers)
