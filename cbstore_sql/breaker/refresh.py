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
    """Read all breakers that this process uses from the store again, so that its view stays up to date.

    The view is this process's copy of the shared state.

    Args:
        view: The view; ``None`` if every call asks the store. Then there is nothing to read.
        outage: The object that remembers whether the store answers. While the store is unavailable, nothing is read.
        notifier: The listeners, which receive an event with the age of the view after each read.
        record: A function that receives each snapshot and the moment just before the read, in seconds of the view's
            clock.
        refreshed: A function that is called after each complete read.
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
        """Read all breakers in use with one store call, and pass each to ``record``.

        Returns:
            A generator of store calls. It returns ``False`` if no breaker is in use, so that the background work can
            end.
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
