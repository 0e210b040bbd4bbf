"""One page of a list of breakers, read in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cbstore_sql.core.history import HistoryEntry, decode_history
from cbstore_sql.core.model import ANSWER_COLUMNS, Snapshot
from cbstore_sql.runtime import sansio
from cbstore_sql.stores.decode import to_snapshot
from cbstore_sql.stores.sql.retry import Effect
from cbstore_sql.stores.sql.statements.overview import TOTALS, overview_statement
from cbstore_sql.stores.sql.store import SqlStore

_CLOCK = len(TOTALS)
_MATCHED = _CLOCK + 1
_NAMESPACE, _NAME, _FIRST = _MATCHED + 1, _MATCHED + 2, _MATCHED + 3
_HISTORY = _FIRST + len(ANSWER_COLUMNS) + 1


@dataclass(frozen=True, slots=True)
class Overview:
    """One page of a list of breakers, with totals of the whole table.

    Attributes:
        as_of: When the page was read, Unix seconds by the database's clock.
        totals: How many breakers of the table are in each state, by state, and how many have an override in force (a
            setting of an operator), under the key ``"override"``.
        matched: How many breakers match the filters, on all pages together.
        breakers: The namespace, the snapshot and the history of each breaker on this page.
    """

    as_of: float
    totals: Mapping[str, int]
    matched: int
    breakers: tuple[tuple[str, Snapshot, tuple[HistoryEntry, ...]], ...]


def read_overview(
    store: SqlStore,
    *,
    text: str = "",
    state: str = "",
    sort: str = "worst",
    limit: int = 100,
    skip: int = 0,
    exact: tuple[str, str] | None = None,
) -> Overview:
    """Read one page of a list of the breakers of all namespaces, with totals of the whole table.

    Args:
        store: The store that holds the breakers.
        text: Select the breakers whose name or namespace contains this text, in upper or lower case; ``""`` selects all
            breakers.
        state: Select the breakers in this state. ``"override"`` selects the breakers with an override in force (a
            setting of an operator), and ``""`` selects all breakers.
        sort: The order: ``"worst"`` (the most urgent first), ``"name"``, ``"failures"`` (the highest failure count
            first) or ``"changed"`` (the most recent failure first).
        limit: The largest number of breakers on the page.
        skip: The number of matching breakers that come before the page.
        exact: A namespace and a name. If given, the function selects only this breaker, and ignores ``text``, ``state``
            and ``skip``. ``None`` means that the other arguments select the breakers.

    Raises:
        StoreError: The database cannot be reached, or the table cannot be read.
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
