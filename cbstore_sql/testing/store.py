"""A store in memory that a test can make fail or make slow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Snapshot, Transition
from cbstore_sql.deadline import remaining
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.stores.memory import InMemoryStore
from cbstore_sql.testing.clock import ManualClock


class ControlledStore(InMemoryStore):
    """A store in memory whose clock and faults a test controls.

    Args:
        clock: The store's clock; ``None`` makes a new clock.
        namespace: The namespace of the store; stores with different namespaces share no breakers.
    """

    def __init__(self, clock: ManualClock | None = None, namespace: str = "default") -> None:
        self.clock = clock or ManualClock()
        super().__init__(namespace, clock=self.clock)
        self._is_out = False
        self._seconds = 0.0

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Make every operation fail for the duration of a ``with`` block, as if the store could not be reached."""
        self._is_out = True
        try:
            yield
        finally:
            self._is_out = False

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Simulate a slow store for the duration of a ``with`` block, without waiting.

        If an operation would take longer than its deadline allows, the operation raises `StoreUnavailableError` at
        once. A write takes effect all the same, as with a slow server.

        Args:
            seconds: The simulated duration of each operation in seconds.
        """
        self._seconds = seconds
        try:
            yield
        finally:
            self._seconds = 0.0

    def _read(self, name: str, now: float | None) -> Snapshot:
        self._refuse_if_out()
        self._refuse_if_late(applied=False)
        return super()._read(name, now)

    def _apply(self, command: Command) -> Transition | None:
        self._refuse_if_out()
        transition = super()._apply(command)
        self._refuse_if_late(applied=None)
        return transition

    def _delete(self, name: str) -> None:
        self._refuse_if_out()
        super()._delete(name)

    def _check_writable(self) -> None:
        self._refuse_if_out()

    def _refuse_if_out(self) -> None:
        if self._is_out:
            raise StoreUnavailableError("the test made the store unavailable", applied=False)

    def _refuse_if_late(self, *, applied: bool | None) -> None:
        left = remaining()
        if left is not None and self._seconds > left:
            raise StoreUnavailableError("the test made the store slow", applied=applied)
