"""Tests of the LLM breaker over an asynchronous store."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from cbstore_sql import AsyncInMemoryStore, CircuitBreakerOpenError, ConfigurationError, LLMCircuitBreaker, Store
from tests.llm.tools import NAME, RESET, Api, ApiError, Bench, busy, run
from tests.stores.contract.backends import SHARED, Backend, make_backend, open_async_store


@pytest.fixture(params=SHARED)
def backend(request: pytest.FixtureRequest) -> Backend:
    return make_backend(request.param, request)


@pytest.fixture
def blocking(backend: Backend) -> Iterator[Store]:
    """A synchronous store over the same breakers, with which the test reads their states."""
    with backend.open(uuid.uuid4().hex) as store:
        yield store


def test_an_llm_breaker_guards_calls_over_an_asynchronous_store(backend: Backend, blocking: Store) -> None:
    async def calls() -> None:
        async with open_async_store(backend.name, backend.url, blocking.namespace) as store:
            breaker = Bench(store).breaker
            with pytest.raises(ApiError):
                await breaker.call_with_retry(Api(*[ApiError(500)] * 3))
            with pytest.raises(CircuitBreakerOpenError) as refused:
                await breaker.call_with_retry(Api())
            assert RESET - 10 < refused.value.retry_after <= RESET
            await store.reset(NAME)
            await store.force_open(NAME, 0)
            assert await breaker.call_with_retry(Api(busy(0.01), "answer")) == "answer"

    run(calls())
    assert blocking.read(NAME).state.value == "closed"


@pytest.mark.parametrize(
    "use",
    [
        LLMCircuitBreaker.should_block,
        LLMCircuitBreaker.record_success,
        LLMCircuitBreaker.record_failure,
        LLMCircuitBreaker.force_open,
        LLMCircuitBreaker.reset,
        lambda breaker: breaker.state,
        lambda breaker: breaker.failure_count,
    ],
)
def test_blocking_methods_over_an_asynchronous_store_raise_an_error_that_names_the_remedy(
    use: Callable[[LLMCircuitBreaker], object],
) -> None:
    with pytest.raises(ConfigurationError, match="call_with_retry"):
        use(Bench(AsyncInMemoryStore()).breaker)


def test_repr_works_over_an_asynchronous_store() -> None:
    assert repr(Bench(AsyncInMemoryStore()).breaker) == "LLMCircuitBreaker(state=unknown, backend='claude')"
