"""A breaker over a store whose operations are awaited."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from cbstore_sql import CircuitBreakerOpenError, ConfigurationError, LLMCircuitBreaker, SqlStore
from cbstore_sql.stores.threaded import ThreadedStore
from tests.llm.tools import NAME, RESET, Api, ApiError, Bench, busy


@pytest.fixture
def blocking(migrated_postgres_url: str) -> Iterator[SqlStore]:
    with SqlStore(migrated_postgres_url, namespace=uuid.uuid4().hex) as store:
        yield store


@pytest.fixture
def bench(blocking: SqlStore) -> Bench:
    return Bench(ThreadedStore(blocking))


def test_calls_are_guarded(bench: Bench, blocking: SqlStore) -> None:
    with pytest.raises(ApiError):
        bench.call(Api(*[ApiError(500)] * 3))
    with pytest.raises(CircuitBreakerOpenError) as refused:
        bench.call(Api())
    assert RESET - 10 < refused.value.retry_after <= RESET
    blocking.reset(NAME)
    blocking.force_open(NAME, 0)
    assert bench.call(Api(busy(0), "answer")) == "answer"
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
def test_what_cannot_be_awaited_says_so(bench: Bench, use: Callable[[LLMCircuitBreaker], object]) -> None:
    with pytest.raises(ConfigurationError, match="call_with_retry"):
        use(bench.breaker)


def test_it_can_be_shown(bench: Bench) -> None:
    assert repr(bench.breaker) == "LLMCircuitBreaker(state=unknown, backend='claude')"
