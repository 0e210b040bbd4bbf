"""The reports of successes that no report of a failure has carried. They are sent for circuits that are not clean.

A refresh never waits for these reports. They are sent in the background when the view is up to date, with one statement
for each breaker: a statement over many rows could deadlock with another statement.
"""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.breaker.flow import CallFlow, nothing
from cbstore_sql.breaker.outage.failures import was_not_applied
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import Permit
from cbstore_sql.errors import StoreError
from cbstore_sql.stores.call import StoreCalls


class SuccessReports:
    """Report to the store, in the background, the successes that the view keeps.

    The view is this process's copy of the shared state. It keeps the successes of healthy calls, so that such calls
    cost no I/O.

    Args:
        view: The view; ``None`` if every success is reported at once. Then there is nothing to report.
        shared: The object that makes the requests to the store for a guarded call.
        decides_alone: A function that receives a breaker's name. It returns ``True`` while this process decides about
            the calls of the breaker without the store; then nothing is reported.

    Attributes:
        wake: A function that is called when there is something to report, so that the breaker runs `report` in the
            background.
    """

    def __init__(self, view: View | None, shared: CallFlow, decides_alone: Callable[[str], bool]) -> None:
        self.wake: Callable[[], object] = nothing
        self._view = view
        self._shared = shared
        self._decides_alone = decides_alone

    def due(self) -> list[Permit]:
        """Return one permit for each breaker with successes to report. Pass each permit to `report`."""
        return [] if self._view is None else self._view.unreported()

    def wake_if_due(self) -> None:
        """If there are successes to report, call ``wake``, so that the background work starts."""
        if self.due():
            self.wake()

    def report(self, permit: Permit) -> StoreCalls[None]:
        """Report the successes of one breaker to the store.

        If the store fails, no outage begins, because no caller waits for this report. If the report certainly had no
        effect, the successes are kept for the next report.

        Args:
            permit: One of the permits from `due`.
        """
        view = self._view
        times = [] if view is None or self._decides_alone(permit.name) else view.take_successes(permit)
        if view is None or not times:
            return
        try:
            yield from self._shared.report_successes(permit, len(times))
        except StoreError as error:
            if was_not_applied(error):
                view.put_back_successes(permit, times)
