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
    """Answer questions about one breaker: its state, its history, and an explanation.

    Args:
        shared: The object that makes the requests to the store for a guarded call.
        outage: The object that admits and counts calls while the store is unavailable.
        begin_outage: A function that receives a breaker's name and the store's error when the store fails.
    """

    def __init__(
        self, shared: CallFlow, outage: OutageCalls, *, begin_outage: Callable[[str, StoreError], None]
    ) -> None:
        self._shared = shared
        self._outage = outage
        self._begin_outage = begin_outage

    def snapshot(self, name: str) -> StoreCalls[Snapshot]:
        """Read the state, the counts and the times of one breaker from the store.

        Raises:
            StoreError: The store failed. The outage policy does not apply.
        """
        check_name("breaker name", name)
        return self._shared.read(name)

    def history(self, name: str) -> StoreCalls[tuple[HistoryEntry, ...]]:
        """Read the last state changes and overrides of a breaker from the store, the oldest first.

        Raises:
            StoreError: The store failed. The outage policy does not apply.
        """
        check_name("breaker name", name)
        return self._shared.history(name)

    def seen(self, name: str) -> StoreCalls[Snapshot]:
        """Read the state by which the breaker would admit or reject the next call, even if the store does not answer.

        Args:
            name: The breaker's name.

        Returns:
            The breaker as the store has it. If the store does not answer, the breaker as this process has it.
        """
        if not self._outage.decides(name):
            try:
                return (yield from self._shared.read(name))
            except StoreError as error:
                self._begin_outage(name, error)
        return self._outage.local.read(name)

    def explanation(self, name: str) -> StoreCalls[str]:
        """Explain in sentences which state a breaker has and what happens next.

        If the store does not answer, the sentences describe the last state that this process knows.

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
