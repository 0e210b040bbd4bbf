"""A 429 with a short Retry-After delays the calls of every process, and a ramp follows."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pytest

from cbstore_sql import AsyncCircuitBreaker, BreakerPolicy, CircuitBreaker, CircuitBreakerOpenError, Store
from cbstore_sql.llm import massgen
from tests.llm.tools import NAME, Api, ApiError, Bench, busy
from tests.stores.contract.backends import SHARED, Backend, make_backend


@pytest.fixture(params=SHARED)
def backend(request: pytest.FixtureRequest) -> Backend:
    return make_backend(request.param, request)


@pytest.fixture
def shared(backend: Backend) -> Iterator[Store]:
    with backend.open(uuid.uuid4().hex) as store:
        yield store


def test_a_short_wait_delays_the_calls_of_every_process_on_every_backend(shared: Store) -> None:
    one, other = Bench(shared), Bench(shared)
    with pytest.raises(ApiError):
        one.call(Api(busy(60)), max_retries=1)
    calls: list[int] = []
    with pytest.raises(CircuitBreakerOpenError) as refused:
        other.another(on_hold="refuse").call_with_retry_sync(lambda: calls.append(1))
    assert (refused.value.reason, calls) == ("hold", [])
    assert 50 < refused.value.retry_after <= 60
    snapshot = shared.read(NAME)
    assert (snapshot.state.value, snapshot.failure_count) == ("closed", 0)


def test_a_call_of_another_process_waits_for_the_end_of_the_hold(bench: Bench) -> None:
    bench.store.hold(NAME, 7)
    api = Api("answer")
    assert bench.call(api) == "answer"
    assert bench.paused(7)


def test_a_shorter_wait_never_shortens_a_longer_one(bench: Bench) -> None:
    with pytest.raises(ApiError):
        bench.call(Api(busy(60)), max_retries=1)
    bench.store.hold(NAME, 7)
    assert bench.store.read(NAME).hold_until == bench.clock.now + 60


def test_a_hold_longer_than_the_threshold_refuses_the_call() -> None:
    bench = Bench(retry_after_threshold_seconds=5.0)
    bench.store.hold(NAME, 60)
    with pytest.raises(CircuitBreakerOpenError):
        bench.call(Api())
    assert bench.naps == []


def test_a_long_wait_opens_the_circuit_and_sets_no_hold(bench: Bench) -> None:
    with pytest.raises(ApiError):
        bench.call(Api(busy(600)))
    assert bench.store.read(NAME).hold_until == 0.0


def test_a_ramp_admits_a_growing_share_after_a_hold() -> None:
    bench = Bench(ramp_up_seconds=100.0, on_hold="refuse")
    bench.store.hold(NAME, 7)
    bench.clock.advance(7)
    early = sum(not bench.breaker.should_block() for _ in range(300))
    bench.clock.advance(100)
    late = sum(not bench.breaker.should_block() for _ in range(300))
    assert early < 100
    assert late == 300


def test_massgen_s_rules_set_no_hold() -> None:
    bench = Bench()
    config = massgen.LLMCircuitBreakerConfig(enabled=True)
    breaker = massgen.LLMCircuitBreaker(config, NAME, store=bench.store, sleep=bench._sleep)
    assert asyncio.run(breaker.call_with_retry(Api(busy(7), "answer"))) == "answer"
    assert (bench.naps, bench.store.read(NAME).hold_until) == ([7.0], 0.0)


def test_admit_first_returns_a_permit_of_the_first_circuit_that_admits(shared: Store) -> None:
    breaker = CircuitBreaker(shared, BreakerPolicy(), store_timeout=60.0)
    shared.force_open("a", 60)
    shared.hold("b", 60)
    assert breaker.admit_first(["a", "b", "c", "d"]).name == "c"
    assert breaker.admit_first(["a", "b", "c", "d"]).name == "c"
    breaker.close()


def test_admit_first_raises_the_refusal_with_the_shortest_wait(shared: Store) -> None:
    shared.force_open("a", 60)
    shared.hold("b", 30)

    async def ask() -> None:
        async with AsyncCircuitBreaker(shared, store_timeout=60.0) as breaker:
            for _ in range(2):
                with pytest.raises(CircuitBreakerOpenError) as refused:
                    await breaker.admit_first(["a", "b"])
                assert (refused.value.name, refused.value.reason) == ("b", "hold")

    asyncio.run(ask())


def test_admit_first_claims_a_due_probe_of_an_earlier_name(shared: Store) -> None:
    breaker = CircuitBreaker(shared, store_timeout=60.0)
    shared.force_open("a", 0)
    permit = breaker.admit_first(["a", "b"])
    assert (permit.name, permit.is_probe) == ("a", True)
    assert breaker.admit_first(["a", "b"]).name == "b"
    breaker.success(permit)
    assert shared.read("a").state.value == "closed"
    breaker.close()


@pytest.mark.parametrize("names", ["abc", []])
def test_admit_first_refuses_an_argument_that_is_not_a_sequence_of_names(shared: Store, names: list[str]) -> None:
    breaker = CircuitBreaker(shared)
    with pytest.raises(TypeError, match="sequence"):
        breaker.admit_first(names)
    breaker.close()
