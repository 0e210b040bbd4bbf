"""Tests of the helpers with which users write tests."""

from __future__ import annotations

import asyncio

import pytest

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncInMemoryStore,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    ConfigurationError,
    InMemoryStore,
    InvalidPolicyError,
)
from cbstore_sql.events import Closed, Opened, StoreDegraded, StoreRecovered
from cbstore_sql.testing import Breakers, ManualClock

POLICY = BreakerPolicy(failure_threshold=2, recovery_timeout=30.0)


class DownError(Exception):
    """The service is down."""


def fail() -> None:
    raise DownError


def missing() -> None:
    raise KeyError


def test_a_breaker_opens_refuses_and_recovers_under_the_manual_clock(breakers: Breakers) -> None:
    breaker = breakers.make(POLICY)
    for _ in range(2):
        with pytest.raises(DownError):
            breaker.call("payments", fail)
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call("payments", len, "order")
    breakers.clock.advance(31)
    assert breaker.call("payments", len, "order") == 5
    assert breakers.state("payments") == "closed"


@pytest.mark.parametrize("round_", range(2))
def test_each_test_starts_with_closed_circuits_and_no_events(breakers: Breakers, round_: int) -> None:
    assert breakers.state("payments") == "closed"
    assert breakers.events == []
    breakers.force("payments", "open")


def test_an_open_circuit_refuses_until_the_clock_has_moved(breakers: Breakers) -> None:
    breaker = breakers.make(POLICY)
    breakers.force("payments", "open", seconds=10)
    with pytest.raises(CircuitBreakerOpenError) as refused:
        breaker.call("payments", len, "order")
    assert refused.value.retry_after == 10.0
    breakers.clock.advance(10)
    assert breaker.call("payments", len, "order") == 5


def test_half_open_makes_the_next_call_the_probe(breakers: Breakers) -> None:
    breaker = breakers.make(POLICY)
    breakers.force("payments", "half_open")
    assert breakers.state("payments") == "half_open"
    with pytest.raises(DownError):
        breaker.call("payments", fail)
    assert breakers.state("payments") == "open"


def test_forcing_closed_clears_the_count(breakers: Breakers) -> None:
    breaker = breakers.make(POLICY)
    with pytest.raises(DownError):
        breaker.call("payments", fail)
    breakers.force("payments", "closed")
    with pytest.raises(DownError):
        breaker.call("payments", fail)
    assert breakers.state("payments") == "closed"


def test_an_unknown_state_is_refused(breakers: Breakers) -> None:
    with pytest.raises(ConfigurationError, match="'open', 'half_open' or 'closed'"):
        breakers.force("payments", "half-open")


def test_events_are_captured_in_order(breakers: Breakers) -> None:
    breaker = breakers.make(POLICY)
    for _ in range(2):
        with pytest.raises(DownError):
            breaker.call("payments", fail)
    breakers.clock.advance(31)
    breaker.call("payments", len, "order")
    assert [event.name for event in breakers.events_of(Opened)] == ["payments"]
    assert [event.name for event in breakers.events_of(Closed)] == ["payments"]


def test_a_fleet_counts_together_and_probes_once(breakers: Breakers) -> None:
    one, other, third = breakers.fleet(3, POLICY)
    for breaker in (one, other):
        with pytest.raises(DownError):
            breaker.call("payments", fail)
    with pytest.raises(CircuitBreakerOpenError):
        third.call("payments", len, "order")
    breakers.clock.advance(31)
    with one.guard("payments"), pytest.raises(CircuitBreakerOpenError):
        other.call("payments", len, "order")
    assert third.call("payments", len, "order") == 5


def test_use_connects_the_application_s_breaker_and_close_restores_it() -> None:
    own_store = InMemoryStore()
    breaker = CircuitBreaker(own_store, POLICY, ignore=(KeyError,), fallback=lambda refused: "queued")

    @breaker("payments")
    def pay() -> str:
        raise DownError

    breakers = Breakers()
    assert breakers.use(breaker) is breaker
    for _ in range(2):
        with pytest.raises(DownError):
            pay()
    assert pay() == "queued"
    with pytest.raises(KeyError):
        breaker.call("other", missing)
    assert breakers.store.read("other").failure_count == 0
    assert len(breakers.events_of(Opened)) == 1
    breakers.close()
    assert own_store.read("payments").failure_count == 0
    with pytest.raises(DownError):
        pay()
    assert own_store.read("payments").failure_count == 1
    assert len(breakers.events_of(Opened)) == 1


def test_use_connects_an_asynchronous_breaker(breakers: Breakers) -> None:
    breaker = breakers.use(AsyncCircuitBreaker(AsyncInMemoryStore(), POLICY))

    async def answer() -> str:
        return "ok"

    async def main() -> str:
        breakers.force("payments", "open")
        with pytest.raises(CircuitBreakerOpenError):
            await breaker.call("payments", answer)
        breakers.force("payments", "closed")
        return await breaker.call("payments", answer)

    assert asyncio.run(main()) == "ok"


def test_use_refuses_an_object_that_is_not_a_breaker(breakers: Breakers) -> None:
    with pytest.raises(ConfigurationError, match="takes a CircuitBreaker, got InMemoryStore"):
        breakers.use(InMemoryStore())  # type: ignore[type-var] # that is the mistake


@pytest.mark.parametrize("block", [True, False])
def test_disabled_breakers_admit_every_call_and_count_nothing(breakers: Breakers, block: bool) -> None:
    breaker = breakers.make(POLICY)
    breakers.force("payments", "open")
    breakers.set_active(False)
    for _ in range(5):
        if block:
            with pytest.raises(DownError), breaker.guard("payments"):
                fail()
        else:
            with pytest.raises(DownError):
                breaker.call("payments", fail)
    assert breakers.store.read("payments").failure_count == 0
    breakers.set_active(True)
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call("payments", len, "order")


def test_an_outage_lasts_for_its_block(breakers: Breakers) -> None:
    breaker = breakers.make(POLICY)
    with breakers.outage():
        assert breaker.call("payments", len, "order") == 5
        assert len(breakers.events_of(StoreDegraded)) == 1
    assert breakers.events_of(StoreRecovered) != []
    with pytest.raises(DownError):
        breaker.call("payments", fail)
    assert breakers.store.read("payments").failure_count == 1


def test_a_slow_store_begins_an_outage_without_waiting(breakers: Breakers) -> None:
    breaker = breakers.make(POLICY, on_store_outage="block", store_timeout=1.0)
    with breakers.store.slow(0.5):
        assert breaker.call("payments", len, "order") == 5
    with breakers.store.slow(5.0), pytest.raises(CircuitBreakerOpenError):
        breaker.call("payments", len, "order")


def test_the_clock_only_moves_forward() -> None:
    clock = ManualClock(100.0)
    clock.advance(5)
    assert clock() == 105.0
    with pytest.raises(InvalidPolicyError):
        clock.advance(-1)
