"""The reports of successes that no report of a failure has carried. They are sent for circuits that are not clean.

A refresh never waits for these reports. They are sent in the background when the view is up to date, with one statement
for each breaker: a statement over many rows could deadlock with another statement.
"""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.breaker.flow import CallFlow, StoreCalls, nothing
from cbstore_sql.breaker.outage.failures import was_not_applied
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import Permit
from cbstore_sql.errors import StoreError


class SuccessReports:
    """A background job that reports the unreported successes of a view to the store.

    Args:
        view: The view; ``None`` if every success is reported in a separate report.
        shared: The steps of calls over the shared store.
        decides_alone: A function that returns whether the calls of a breaker follow the outage policy. For such a
            breaker, the job sends nothing.

    Attributes:
        wake: A function that is called when there is something to send, so that the breaker runs `report` in the
            background.
    """

    def __init__(self, view: View | None, shared: CallFlow, decides_alone: Callable[[str], bool]) -> None:
        self.wake: Callable[[], object] = nothing
        self._view = view
        self._shared = shared
        self._decides_alone = decides_alone

    def due(self) -> list[Permit]:
        """Return the permits to pass to `report`, one after the other."""
        return [] if self._view is None else self._view.unreported()

    def wake_if_due(self) -> None:
        """Call `wake` if there is a success to report."""
        if self.due():
            self.wake()

    def report(self, permit: Permit) -> StoreCalls[None]:
        """Report the successes of one breaker.

        An error does not begin an outage, because no caller waits for this report. The next refresh finds out whether
        the store fails.

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
