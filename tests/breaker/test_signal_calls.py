"""A signal handler can make a guarded call inside a guarded call. Both calls end, and both count."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from cbstore_sql import BreakerPolicy, CircuitBreaker, InMemoryStore, Store, StoreUnavailableError
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Transition

NEVER = BreakerPolicy(failure_threshold=10**6)


class FarStore(InMemoryStore):
    """Has a view before it, like a store on a network."""

    reads_locally = False


class LostStore(InMemoryStore):
    """A store that refuses writes, so that the process uses its local breakers."""

    def _apply(self, command: Command) -> Transition | None:
        raise StoreUnavailableError("gone", applied=False)


def down() -> None:
    raise ConnectionError


@pytest.mark.parametrize("make", [InMemoryStore, FarStore, LostStore])
def test_a_guarded_call_in_a_signal_handler_ends_and_counts(make: Callable[[], Store]) -> None:
    breaker, inside, outside = CircuitBreaker(make(), NEVER), 0, 0

    def guarded() -> None:
        with pytest.raises(ConnectionError):
            breaker.call("b", down)

    def handler(*_: object) -> None:
        nonlocal inside
        guarded()
        inside += 1
        signal.setitimer(signal.ITIMER_REAL, 0.0003)

    guarded()
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
        ends = time.monotonic() + 30.0
        while inside < 50 and time.monotonic() < ends:
            guarded()
            outside += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert inside >= 50
    if make is not LostStore:
        assert breaker.snapshot("b").failure_count == 1 + inside + outside
    breaker.close()
