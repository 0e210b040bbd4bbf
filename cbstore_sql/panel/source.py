"""The sources of the panel's pages: an SQL store reads one page with one statement, other stores list every breaker."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cbstore_sql.core.admission import admission
from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import Snapshot, State
from cbstore_sql.core.severity import severity
from cbstore_sql.deadline import within
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.panel.views import PAGE_SIZE, View
from cbstore_sql.stores.base import Store

# The greatest number of seconds that a request for a page waits for the store.
TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One breaker on a page.

    Attributes:
        namespace: The breaker's namespace.
        snapshot: The breaker's state.
        history: The breaker's last changes, the oldest first. Empty if the read left out the history.
    """

    namespace: str
    snapshot: Snapshot
    history: tuple[HistoryEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """The breakers of one page of the panel.

    Attributes:
        as_of: The store's time of the read, in Unix seconds.
        totals: The number of all breakers in each state. The key ``"override"`` has the number of breakers with an
            active override (an operator's lock).
        matched: The number of breakers that match the view's filter, on all pages.
        entries: The breakers of this page.
    """

    as_of: float
    totals: Mapping[str, int]
    matched: int
    entries: tuple[Entry, ...]

    @property
    def pages(self) -> int:
        """The number of pages that the matching breakers fill, at least 1."""
        return max(1, math.ceil(self.matched / PAGE_SIZE))

    def content(self) -> tuple[Any, ...]:
        """Return the content of the page without the time of the read, so that two reads can be compared.

        The contents of two reads differ only if a breaker on the page or one of the numbers changed between the reads.
        """
        rows = [
            (entry.namespace, *entry.snapshot._replace(as_of=0.0), admission(entry.snapshot).action, entry.history)
            for entry in self.entries
        ]
        return (sorted(self.totals.items()), self.matched, rows)


class Source(Protocol):
    """The interface of an object that reads the breakers of one page of the panel from a store."""

    def read(self, view: View) -> Page:
        """Read the breakers of one page.

        Args:
            view: The page to read.

        Raises:
            StoreError: The store cannot be read.
        """


class WholeStore:
    """Reads pages from a store that can only list every breaker, such as Redis.

    Args:
        store: A synchronous store with a method ``read_all``.

    Raises:
        ConfigurationError: The store has no method ``read_all``.
    """

    def __init__(self, store: Store) -> None:
        if not hasattr(store, "read_all"):
            raise ConfigurationError("the panel needs a store on PostgreSQL, SQLite or Redis")
        self._store: Any = store

    def read(self, view: View) -> Page:
        """Read all breakers of the store, and return those of one page.

        Args:
            view: The page to read.

        Raises:
            StoreError: The store cannot be read within 5 seconds.
        """
        with within(TIMEOUT):
            breakers: list[tuple[str, Snapshot]] = self._store.read_all()
            entries = [Entry(*pair) for pair in breakers]
            if view.exact is not None:
                entries = [entry for entry in entries if (entry.namespace, entry.snapshot.name) == view.exact]
                entries = [Entry(e.namespace, e.snapshot, self._history(e)) for e in entries]
        return select(entries, view)

    def _history(self, entry: Entry) -> tuple[HistoryEntry, ...]:
        history: tuple[HistoryEntry, ...] = in_namespace(self._store, entry.namespace).history(entry.snapshot.name)
        return history


def select(entries: Sequence[Entry], view: View) -> Page:
    """Make one page from all breakers of a store.

    Args:
        entries: All breakers.
        view: The filter, the order and the page number.
    """
    totals = {state.value: sum(entry.snapshot.state is state for entry in entries) for state in State}
    totals["override"] = sum(bool(entry.snapshot.active_override) for entry in entries)
    as_of = max((entry.snapshot.as_of for entry in entries), default=0.0)
    found = [entry for entry in entries if _is_shown(entry, view)]
    found.sort(key=_ORDERS[view.sort])
    start = (view.page - 1) * PAGE_SIZE
    return Page(as_of, totals, len(found), tuple(found[start : start + PAGE_SIZE]))


def in_namespace(store: Any, namespace: str) -> Any:
    """Return a store for the breakers of one namespace, which uses the connections of another store.

    Args:
        store: The store whose connections the new store uses.
        namespace: The namespace of the new store.
    """
    return store if store.namespace == namespace else store._for_namespace(namespace)


def _is_shown(entry: Entry, view: View) -> bool:
    snapshot = entry.snapshot
    if view.text.lower() not in snapshot.name.lower() and view.text.lower() not in entry.namespace.lower():
        return False
    if view.state == "override":
        return bool(snapshot.active_override)
    return view.state in ("", snapshot.state.value)


def _severity(snapshot: Snapshot) -> int:
    worst: int = severity(snapshot, snapshot.as_of, lambda condition, a, b: a if condition else b)
    return worst


def _key(entry: Entry) -> tuple[str, str]:
    return entry.namespace, entry.snapshot.name


_ORDERS: Mapping[str, Callable[[Entry], Any]] = {
    "worst": lambda entry: (-_severity(entry.snapshot), -entry.snapshot.failure_count, _key(entry)),
    "name": _key,
    "failures": lambda entry: (-entry.snapshot.failure_count, _key(entry)),
    "changed": lambda entry: (-entry.snapshot.last_failure_time, _key(entry)),
}
