"""The settling of verdicts: without I/O where no report is needed, else by a report, else by the outage policy."""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.breaker.flow import CallFlow
from cbstore_sql.breaker.outage.calls import OutageCalls
from cbstore_sql.breaker.outage.failures import original_of, was_not_applied
from cbstore_sql.breaker.outage.resync import Resync
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import CleanPermit, LocalPermit, Permit, UnreportedPermit, Verdict
from cbstore_sql.errors import BreakerNotStoredError, StoreError
from cbstore_sql.stores.call import StoreCalls


class Settling:
    """Report the outcomes of admitted calls to the store.

    If the store fails, follow the outage policy (``on_store_outage``).

    Args:
        shared: The object that makes the requests to the store for a guarded call.
        outage: The object that admits and counts calls while the store is unavailable.
        resync: The object that sends the reports to a store that answers again.
        view: The view (this process's copy of the shared state), with the successes that it keeps; ``None`` if there is
            no view.
        begin_outage: A function that receives a breaker's name and the store's error when the store fails.
    """

    def __init__(
        self,
        shared: CallFlow,
        outage: OutageCalls,
        resync: Resync,
        view: View | None,
        *,
        begin_outage: Callable[[str, StoreError], None],
    ) -> None:
        self._shared = shared
        self._outage = outage
        self._resync = resync
        self._view = view
        self._begin_outage = begin_outage

    def without_io(self, permit: Permit, verdict: Verdict) -> bool:
        """Finish an admitted call without a report to the store, if no report is necessary now.

        No report is necessary if the outcome changes nothing in the store, or if the store is unavailable. After a
        success, the caller must call `takes_success` first.

        Args:
            permit: The permit of the admitted call.
            verdict: What the outcome says about the dependency: success, failure, or none (the call does not count).

        Returns:
            ``True`` if the call is finished. ``False`` if the caller must report the outcome with `by_store`.
        """
        if isinstance(permit, UnreportedPermit) or (verdict is Verdict.NONE and not permit.is_probe):
            return True
        if self._outage.decides(permit.name):
            self._outage.settle(permit, verdict, uncounted=True)
            return True
        return False

    def may_send(self, permit: Permit, verdict: Verdict) -> bool:
        """Return whether the outcome of an admitted call may be sent to the store without waiting for the answer.

        It may be sent if it is a success, and the store showed a circuit without failures when it admitted the call.

        Args:
            permit: The permit of the admitted call.
            verdict: What the outcome says about the dependency.
        """
        return type(permit) is CleanPermit and verdict is Verdict.SUCCESS and self._outage.local.is_settled

    def by_store(self, permit: Permit, verdict: Verdict, *, or_raise: bool = False) -> StoreCalls[None]:
        """Report the outcome of an admitted call to the store.

        If the store fails, follow the outage policy (``on_store_outage``).

        Args:
            permit: The permit of the admitted call.
            verdict: What the outcome says about the dependency: success, failure, or none (the call does not count).
            or_raise: Whether to raise the error of a store that fails. ``False`` means that the outage policy applies.
        """
        carried = self._take_successes(permit, verdict)
        try:
            if isinstance(permit, LocalPermit):
                yield from self._resync.late(permit, verdict)
            else:
                yield from self._shared.settle(permit, verdict, carried)
                if verdict is Verdict.SUCCESS and not self._outage.local.is_settled:
                    self._outage.local.succeeded(permit.name)
        except StoreError as error:
            if or_raise:
                raise original_of(error) from error.__cause__
            self._settle_after(error, permit, verdict, carried)

    def _take_successes(self, permit: Permit, verdict: Verdict) -> int:
        """Remove and return the number of the unreported successes that the report of ``verdict`` carries.

        Args:
            permit: The permit of the report.
            verdict: The verdict that the report carries.
        """
        if self._view is None or verdict is Verdict.NONE or isinstance(permit, LocalPermit):
            return 0
        return len(self._view.take_successes(permit))

    def _settle_after(self, error: StoreError, permit: Permit, verdict: Verdict, carried: int) -> None:
        """Settle a verdict whose report failed.

        Args:
            error: The error of the store.
            permit: The permit of the admitted call.
            verdict: The verdict on the call: success, failure, or none (the call does not count).
            carried: The number of earlier successes that the same report carried.
        """
        if isinstance(error, BreakerNotStoredError):
            self._outage.log_full(error)
            return
        self._begin_outage(permit.name, error)
        uncounted = was_not_applied(error)
        self._outage.settle(permit, verdict, uncounted=uncounted, carried=carried if uncounted else 0)
