"""Reporting successes that no failure has carried: where a refresh finds a circuit that is not clean.

A refresh never waits for these reports. They are sent in the background once the view is up to date, one statement for
each breaker: a statement over many rows could deadlock with another one.
"""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.breaker.flow import CallFlow, StoreCalls, nothing
from cbstore_sql.breaker.outage.failures import was_not_applied
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import Permit
from cbstore_sql.errors import StoreError


class SuccessReports:
    """Sends the unreported successes of a view.

    Args:
        view: The view; ``None`` where every success is reported by itself.
        shared: The flow over the shared store.
        decides_alone: Returns whether the calls of a breaker go by the outage policy; then nothing is sent.

    Attributes:
        wake: Called when there is something to send, so that the breaker runs `report` in the background.
    """

    def __init__(self, view: View | None, shared: CallFlow, decides_alone: Callable[[str], bool]) -> None:
        self.wake: Callable[[], object] = nothing
        self._view = view
        self._shared = shared
        self._decides_alone = decides_alone

    def due(self) -> list[Permit]:
        """Return what to pass to `report`, one after the other."""
        return [] if self._view is None else self._view.unreported()

    def wake_if_due(self) -> None:
        """Call `wake` if there is something to send."""
        if self.due():
            self.wake()

    def report(self, permit: Permit) -> StoreCalls[None]:
        """Report the successes of one breaker.

        An error does not begin an outage: no caller waits for this report, and the next refresh notices the store.
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
