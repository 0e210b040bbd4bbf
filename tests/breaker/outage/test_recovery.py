"""An outage ends by itself: somebody asks the store again in the background."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from time import monotonic

import pytest

from cbstore_sql import AsyncCircuitBreaker, BreakerPolicy, CircuitBreaker, InMemoryStore, StoreUnavailableError
from cbstore_sql.events import BreakerEvent, StoreRecovered
from tests.breaker.drivers import Clock
from tests.breaker.outage.test_store_outage import Failing

PATIENCE = 30.0


@pytest.fixture
def failing(clock: Clock) -> Failing:
    store = Failing(clock)
    store.on_read = StoreUnavailableError("gone", applied=False)
    return store


def told(event: threading.Event) -> Callable[[BreakerEvent], None]:
    return lambda heard: event.set() if isinstance(heard, StoreRecovered) else None


def test_without_any_call(failing: Failing) -> None:
    recovered = threading.Event()
    with CircuitBreaker(failing, listeners=[told(recovered)]) as breaker:
        breaker.call("b", str)
        failing.on_read = None
        assert recovered.wait(PATIENCE)
    assert not breaker._controller.is_out


def test_in_an_event_loop_too(failing: Failing) -> None:
    async def run() -> bool:
        recovered = threading.Event()
        async with AsyncCircuitBreaker(failing, listeners=[told(recovered)]) as breaker:
            await breaker.call("b", asyncio.sleep, 0)
            failing.on_read = None
            return await asyncio.to_thread(recovered.wait, PATIENCE)

    assert asyncio.run(run())


def test_a_closed_breaker_asks_no_more(failing: Failing) -> None:
    breaker = CircuitBreaker(failing)
    breaker.call("b", str)
    breaker.close()
    assert not any(thread.name == "cbstore-recovery" for thread in threading.enumerate())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_asks_for_itself(failing: Failing) -> None:
    with CircuitBreaker(failing) as breaker:
        breaker.call("b", str)
        child = os.fork()
        if child == 0:
            failing.on_read = None
            breaker.call("b", str)
            ends = monotonic() + PATIENCE
            while breaker._controller.is_out and monotonic() < ends:
                threading.Event().wait(0.01)
            os._exit(int(breaker._controller.is_out))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_outage_is_no_outage_of_another_breaker(clock: Clock, failing: Failing) -> None:
    with CircuitBreaker(failing) as one, CircuitBreaker(InMemoryStore(clock=clock), BreakerPolicy()) as other:
        one.call("b", str)
        other.call("b", str)
        assert one._controller.is_out
        assert not other._controller.is_out
