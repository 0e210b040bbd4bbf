"""What the dependency demands of a breaker: to open its circuit, or to hold its calls. The outage policy applies."""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.breaker.direct_changes import DirectChanges
from cbstore_sql.breaker.outage.calls import OutageCalls
from cbstore_sql.core.model import Transition
from cbstore_sql.errors import BreakerNotStoredError, StoreError
from cbstore_sql.stores.call import StoreCalls


class Demands:
    """Carry out what a dependency asks for (``Retry-After``): a hold, or an open circuit.

    If the store fails, follow the outage policy (``on_store_outage``).

    Args:
        changes: The object that makes these changes in the store.
        outage: The object that admits and counts calls while the store is unavailable.
        begin_outage: A function that receives a breaker's name and the store's error when the store fails.
    """

    def __init__(
        self, changes: DirectChanges, outage: OutageCalls, *, begin_outage: Callable[[str, StoreError], None]
    ) -> None:
        self._changes = changes
        self._outage = outage
        self._begin_outage = begin_outage

    def hold(self, name: str, seconds: float) -> StoreCalls[None]:
        """Reject all calls of a breaker for some seconds because the dependency asked for a wait.

        If the store fails, the hold has an effect only with the outage policy (``on_store_outage``) ``"local"``, and
        only in this process.

        Args:
            name: The breaker's name.
            seconds: The length of the hold in seconds, from now.
        """
        if (yield from self._is_for_this_process(name, self._changes.hold(name, seconds))):
            self._outage.local.hold(name, seconds)

    def trip(self, name: str, seconds: float) -> StoreCalls[None]:
        """Open a circuit because the dependency asked for a wait.

        If the store fails, the circuit opens only with the outage policy (``on_store_outage``) ``"local"``, and only in
        this process.

        Args:
            name: The breaker's name.
            seconds: The open time in seconds, from now.
        """
        if (yield from self._is_for_this_process(name, self._changes.force_open(name, seconds))):
            self._outage.local.force_open(name, seconds)

    def _is_for_this_process(self, name: str, change: StoreCalls[Transition]) -> StoreCalls[bool]:
        """Make a change in the store.

        Args:
            name: The breaker's name.
            change: The store calls of the change.

        Returns:
            Whether the store is unavailable, so the change must be made in the local breaker of this process.
        """
        if not self._outage.decides(name):
            try:
                yield from change
                return False
            except BreakerNotStoredError as error:
                self._outage.log_full(error)
                return False
            except StoreError as error:
                self._begin_outage(name, error)
        return self._outage.is_local
