"""The end of an outage: ask the store again, hand over what happened meanwhile, and use the store again."""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.breaker.flow import CallFlow, StoreCalls
from cbstore_sql.breaker.outage.detector import OutageDetector
from cbstore_sql.breaker.outage.local import LocalBreakers
from cbstore_sql.breaker.outage.resync import Resync
from cbstore_sql.errors import StoreError

HAND_OVER_TIMEOUT = 5.0
"""Seconds for one hand-over to a store that answers again. No guarded call waits for it."""


class Recovery:
    """Ends an outage of the store.

    Args:
        shared: The flow over the shared store.
        local: The breakers of this process, which the outage used.
        outage: Tells whether the store is out.
        resync: Hands over what happened during the outage.
        begin_outage: Called with a breaker's name and the error when the store fails again.
    """

    def __init__(
        self,
        shared: CallFlow,
        local: LocalBreakers,
        outage: OutageDetector,
        resync: Resync,
        *,
        begin_outage: Callable[[str, StoreError], None],
    ) -> None:
        self._shared = shared
        self._local = local
        self._outage = outage
        self._resync = resync
        self._begin_outage = begin_outage

    def answers(self) -> StoreCalls[bool]:
        """Read one breaker from a store that is out.

        Returns:
            Whether the store answered. ``True`` without a question if it is not out.
        """
        if not self._outage.is_out:
            return True
        try:
            yield from self._shared.read(self._outage.name)
        except StoreError as error:
            self._begin_outage(self._outage.name, error)
            return False
        return True

    def recover(self) -> StoreCalls[bool]:
        """Hand over what happened during the outage and use the store again.

        Returns:
            Whether the store took everything. ``False``: the outage goes on, and what is left is kept.
        """
        if not self._outage.is_out:
            return True
        try:
            yield from self._resync.everything()
            self._outage.mark_up()
            # A call that was decided without the store may have ended meanwhile.
            yield from self._resync.everything()
        except StoreError as error:
            self._begin_outage(self._outage.name, error)
            return False
        self._local.clear()
        return True
