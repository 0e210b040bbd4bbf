"""Where the panel's pages come from: one statement a page on SQL, every breaker at once elsewhere."""

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

# A page is not worth more waiting than this, seconds.
TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One breaker on a page."""

    namespace: str
    snapshot: Snapshot
    history: tuple[HistoryEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """What a page shows.

    Attributes:
        as_of: The store's clock, Unix seconds.
        totals: How many breakers there are by state, and under ``"override"`` how many have one.
        matched: How many breakers the view's filter lets through, on all pages.
        entries: Those of this page.
    """

    as_of: float
    totals: Mapping[str, int]
    matched: int
    entries: tuple[Entry, ...]

    @property
    def pages(self) -> int:
        """How many pages the view has."""
        return max(1, math.ceil(self.matched / PAGE_SIZE))

    def content(self) -> tuple[Any, ...]:
        """Return what the page shows apart from the passing of time: it changes when a breaker does."""
        rows = [
            (entry.namespace, *entry.snapshot._replace(as_of=0.0), admission(entry.snapshot).action, entry.history)
            for entry in self.entries
        ]
        return (sorted(self.totals.items()), self.matched, rows)


class Source(Protocol):
    """Gives pages."""

    def read(self, view: View) -> Page:
        """Return a page.

        Raises:
            StoreError: The store cannot be read.
        """


class WholeStore:
    """Pages of a store that can only list every breaker.

    Args:
        store: The store.

    Raises:
        ConfigurationError: It cannot list its breakers.
    """

    def __init__(self, store: Store) -> None:
        if not hasattr(store, "read_all"):
            raise ConfigurationError("the panel needs a store on PostgreSQL, SQLite or Redis")
        self._store: Any = store

    def read(self, view: View) -> Page:
        """See `Source`."""
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
    """Make a page of every breaker there is."""
    totals = {state.value: sum(entry.snapshot.state is state for entry in entries) for state in State}
    totals["override"] = sum(bool(entry.snapshot.active_override) for entry in entries)
    as_of = max((entry.snapshot.as_of for entry in entries), default=0.0)
    found = [entry for entry in entries if _is_shown(entry, view)]
    found.sort(key=_ORDERS[view.sort])
    start = (view.page - 1) * PAGE_SIZE
    return Page(as_of, totals, len(found), tuple(found[start : start + PAGE_SIZE]))


def in_namespace(store: Any, namespace: str) -> Any:
    """Return a store over the same connections for the breakers of another namespace."""
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
