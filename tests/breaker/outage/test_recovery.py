"""An outage ends without a call: the breaker asks the store again in the background."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

import pytest

from cbstore_sql import (
    AsyncCircuitBreaker,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    InMemoryStore,
    State,
    StoreUnavailableError,
)
from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.breaker.notifier import Notifier
from cbstore_sql.breaker.view import View
from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.events import BreakerEvent, StoreRecovered
from cbstore_sql.runtime import sansio
from cbstore_sql.stores.call import StoreCall, StoreCalls
from tests.breaker.drivers import Clock
from tests.breaker.outage.test_store_outage import Failing

PATIENCE = 30.0

T = TypeVar("T")


@pytest.fixture
def failing(clock: Clock) -> Failing:
    store = Failing(clock)
    store.on_read = StoreUnavailableError("gone", applied=False)
    return store


def told(event: threading.Event) -> Callable[[BreakerEvent], None]:
    return lambda heard: event.set() if isinstance(heard, StoreRecovered) else None


def test_an_outage_ends_without_any_call(failing: Failing) -> None:
    recovered = threading.Event()
    with CircuitBreaker(failing, listeners=[told(recovered)]) as breaker:
        breaker.call("b", str)
        failing.on_read = None
        assert recovered.wait(PATIENCE)
    assert not breaker._controller.is_out


def test_an_outage_in_an_event_loop_ends_without_any_call(failing: Failing) -> None:
    async def run() -> bool:
        recovered = threading.Event()
        async with AsyncCircuitBreaker(failing, listeners=[told(recovered)]) as breaker:
            await breaker.call("b", asyncio.sleep, 0)
            failing.on_read = None
            return await asyncio.to_thread(recovered.wait, PATIENCE)

    assert asyncio.run(run())


def test_a_closed_breaker_stops_asking_the_store(failing: Failing) -> None:
    breaker = CircuitBreaker(failing)
    breaker.call("b", str)
    breaker.close()
    assert not any(thread.name == "cbstore-recovery" for thread in threading.enumerate())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_asks_the_store_itself(failing: Failing) -> None:
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


def test_an_outage_of_one_store_does_not_affect_a_breaker_over_another_store(clock: Clock, failing: Failing) -> None:
    with CircuitBreaker(failing) as one, CircuitBreaker(InMemoryStore(clock=clock), BreakerPolicy()) as other:
        one.call("b", str)
        other.call("b", str)
        assert one._controller.is_out
        assert not other._controller.is_out


POLICY = BreakerPolicy(failure_threshold=3, recovery_timeout=600.0)
GONE = StoreUnavailableError("gone", applied=False)
UNKNOWN = StoreUnavailableError("gone")


class Controlled(BreakerController):
    """A controller over a view, with the events that it emitted."""

    def __init__(self, clock: Clock) -> None:
        self.events: list[BreakerEvent] = []
        super().__init__(POLICY, notifier=Notifier([self.events.append]), view=View(0.25, clock))

    def told(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def run(self, calls: StoreCalls[T], store: InMemoryStore) -> T:
        return sansio.run(calls, lambda call: getattr(store, call.operation)(*call.arguments, **call.keywords))

    def recover(self, store: InMemoryStore) -> bool:
        return self.run(self.recovery.answers(), store) and self.run(self.recovery.recover(), store)


@pytest.fixture
def controller(clock: Clock) -> Controlled:
    return Controlled(clock)


def fails_without_answer(controller: Controlled) -> None:
    """Count a failure that the store may have counted too."""
    controller._begin_outage("b", UNKNOWN)
    controller.outage.settle(Permit("b", 0), Verdict.FAILURE, uncounted=False)


def test_a_trial_of_the_store_ends_after_a_minute_without_an_error(controller: Controlled, clock: Clock) -> None:
    store = InMemoryStore(clock=clock)
    fails_without_answer(controller)
    assert controller.recover(store)
    assert not controller.is_out
    clock.advance(59.0)
    assert controller.recover(store)
    assert controller.told() == ["StoreDegraded"]
    assert controller.recovery.has_work
    clock.advance(1.0)
    assert controller.recover(store)
    assert controller.told() == ["StoreDegraded", "StoreRecovered"]
    assert not controller.recovery.has_work


def test_writes_of_other_breakers_end_the_trial_sooner(controller: Controlled, clock: Clock) -> None:
    store = InMemoryStore(clock=clock)
    fails_without_answer(controller)
    controller.recover(store)
    other = Permit("another", 0)
    controller.run(controller.settling.by_store(other, Verdict.FAILURE), store)
    assert controller.told() == ["StoreDegraded"], "the row of this one may be locked"
    clock.advance(5.0)
    controller.run(controller.settling.by_store(other, Verdict.FAILURE), store)
    assert controller.told() == ["StoreDegraded", "StoreRecovered"]


def test_a_failed_trial_emits_no_event_and_the_local_count_continues(
    controller: Controlled, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    store = InMemoryStore(clock=clock)
    for _ in range(2):
        fails_without_answer(controller)
        controller.recover(store)
    assert controller.told() == ["StoreDegraded"]
    assert len(caplog.records) == 1
    fails_without_answer(controller)
    assert controller.outage.local.read("b").state is State.OPEN


def test_a_success_answered_by_the_view_clears_a_count_in_doubt(controller: Controlled, clock: Clock) -> None:
    store = InMemoryStore(clock=clock)
    fails_without_answer(controller)
    controller.recover(store)
    permit = controller.run(controller.admission("b"), store)
    assert controller.takes_success(permit)
    assert not controller.outage.local.is_in_doubt
    controller.recover(store)
    assert controller.told() == ["StoreDegraded", "StoreRecovered"]
    assert controller.view is not None
    controller.takes_success(permit)
    assert controller.takes_success == controller.view.takes_success, "the short way again"


def test_new_failures_during_the_recovery_do_not_prevent_its_end(controller: Controlled, clock: Clock) -> None:
    store, numbers = InMemoryStore(clock=clock, max_breakers=None), itertools.count()
    controller._begin_outage("b", GONE)

    def fail_elsewhere() -> None:
        permit = Permit(f"tenant {next(numbers)}", 0)
        if not controller.settling.without_io(permit, Verdict.FAILURE):
            controller.run(controller.settling.by_store(permit, Verdict.FAILURE), store)

    for _ in range(50):
        fail_elsewhere()

    def slow(call: StoreCall) -> object:
        # Three more failures arrive during each store call of the recovery.
        for _ in range(3):
            fail_elsewhere()
        return getattr(store, call.operation)(*call.arguments, **call.keywords)

    assert sansio.run(controller.recovery.recover(), slow)
    assert not controller.is_out
    controller.recover(store)
    assert not controller.recovery.has_work
    counted = sum(store.read(f"tenant {number}").failure_count for number in range(next(numbers)))
    assert counted == next(numbers) - 1, "each exactly once"


def test_an_open_circuit_that_an_emptied_store_lost_is_opened_again(controller: Controlled, clock: Clock) -> None:
    store = InMemoryStore(clock=clock)
    store.force_open("b", 60.0)
    with pytest.raises(CircuitBreakerOpenError):
        controller.run(controller.admission("b"), store)
    controller._begin_outage("another", GONE)
    emptied = InMemoryStore(clock=clock)
    clock.advance(20.0)
    assert controller.recover(emptied)
    assert emptied.read("b").open_until == clock.now + 40.0
