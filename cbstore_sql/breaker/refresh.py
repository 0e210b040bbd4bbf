"""The refresh of the view: one statement reads all breakers in use again."""

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
    """A job that repeatedly reads the breakers of a view from the store again.

    Args:
        view: The view; ``None`` if every call asks the store. Then the job does nothing.
        outage: The record of the store's state. While the store is unavailable, the job reads nothing.
        notifier: The listeners, which receive an event with the age of the view after each read.
        record: A function that receives each snapshot and the moment just before the read, in seconds of the view's
            clock.
        refreshed: A function that the job calls after each complete read.
        begin_outage: A function that receives a breaker's name and the store's error when a read fails.
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
