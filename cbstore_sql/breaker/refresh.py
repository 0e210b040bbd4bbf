"""Keeping the view fresh: the breakers in use are read again, all in one statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cbstore_sql.breaker.flow import StoreCalls
from cbstore_sql.breaker.notifier import Notifier
from cbstore_sql.breaker.outage.detector import OutageDetector
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import Snapshot
from cbstore_sql.errors import StoreError
from cbstore_sql.events import ViewRefreshed
from cbstore_sql.stores.call import StoreCall


class ViewRefresh:
    """Reads the breakers of a view again.

    Args:
        view: The view; ``None`` where every call asks the store.
        outage: Tells whether the store is out; then nothing is read.
        notifier: Hears how old the view was.
        record: Called with each snapshot and the moment before the store was asked, by the view's clock, seconds.
        refreshed: Called when the view is up to date.
        begin_outage: Called with a breaker's name and the error when the store fails.
    """

    def __init__(
        self,
        view: View | None,
        outage: OutageDetector,
        notifier: Notifier,
        *,
        record: Callable[[Snapshot, float], None],
        refreshed: Callable[[], object],
        begin_outage: Callable[[str, StoreError], None],
    ) -> None:
        self._view = view
        self._outage = outage
        self._notifier = notifier
        self._record = record
        self._refreshed = refreshed
        self._begin_outage = begin_outage

    def run(self) -> StoreCalls[bool]:
        """Read the breakers in use with one `Store.read_many`.

        Returns:
            Whether any breaker is in use. ``False`` ends the background work until the next call.
        """
        view = self._view
        names = [] if view is None else view.in_use()
        if view is None or not names or self._outage.is_out:
            return bool(names)
        asked_at = view.clock()
        try:
            snapshots: Mapping[str, Snapshot] = yield StoreCall("read_many", (names,))
        except StoreError as error:
            self._begin_outage(names[0], error)
            return True
        view.answered(asked_at)
        ages = view.staleness()
        for snapshot in snapshots.values():
            self._record(snapshot, asked_at)
        self._refreshed()
        if self._notifier.listeners and ages:
            oldest = max(ages, key=ages.__getitem__)
            self._notifier.emit(ViewRefreshed(oldest, ages[oldest]))
        return True
