"""What people ask about a breaker: its state, its history, and why it admits or refuses calls."""

from __future__ import annotations

from collections.abc import Callable

from cbstore_sql.breaker.flow import CallFlow
from cbstore_sql.breaker.outage.calls import OutageCalls
from cbstore_sql.core.explanation import explain
from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import Snapshot
from cbstore_sql.core.validation import check_name
from cbstore_sql.errors import StoreError
from cbstore_sql.stores.call import StoreCalls


class Insight:
    """The questions about one breaker, answered by the store or, where it helps, by this process.

    Args:
        shared: The steps of calls over the store.
        outage: The calls while the store is unavailable.
        begin_outage: A function that receives a breaker's name and the store's error when the store fails.
    """

    def __init__(
        self, shared: CallFlow, outage: OutageCalls, *, begin_outage: Callable[[str, StoreError], None]
    ) -> None:
        self._shared = shared
        self._outage = outage
        self._begin_outage = begin_outage

    def snapshot(self, name: str) -> StoreCalls[Snapshot]:
        """Return the snapshot of one breaker, which this method reads from the store."""
        check_name("breaker name", name)
        return self._shared.read(name)

    def history(self, name: str) -> StoreCalls[tuple[HistoryEntry, ...]]:
        """Read the last state changes and overrides of a breaker."""
        check_name("breaker name", name)
        return self._shared.history(name)

    def seen(self, name: str) -> StoreCalls[Snapshot]:
        """Return the snapshot on which the breaker would admit or refuse the next call.

        Args:
            name: The breaker's name.

        Returns:
            The store's snapshot if the store answers; otherwise the snapshot of the local breaker of this process.
        """
        if not self._outage.decides(name):
            try:
                return (yield from self._shared.read(name))
            except StoreError as error:
                self._begin_outage(name, error)
        return self._outage.local.read(name)

    def explanation(self, name: str) -> StoreCalls[str]:
        """Return plain sentences that explain the state of a breaker and what happens next.

        If the store fails, the sentences describe the last state that this process knows.

        Args:
            name: The breaker's name.
        """
        snapshot = yield from self.seen(name)
        history: tuple[HistoryEntry, ...] = ()
        if not self._outage.decides(name):
            try:
                history = yield from self._shared.history(name)
            except StoreError as error:
                self._begin_outage(name, error)
        sentences = explain(snapshot, history)
        if self._outage.decides(name):
            sentences.append("The store does not answer: this is what this process knows and does by itself.")
        return " ".join(sentences)
