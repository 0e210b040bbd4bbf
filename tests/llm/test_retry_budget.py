"""The number of retries stays below a share of the process's calls plus a burst."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import pytest

from cbstore_sql import LLMCircuitBreaker, LLMCircuitBreakerConfig
from cbstore_sql.llm import massgen
from cbstore_sql.llm.retry_budget import RetryBudget
from tests.llm.tools import ApiError, Bench, busy

SHARES = ["0", "1/10", "1/4", "1/3", "1"]
MANY = 1_000_000


def taken(budget: RetryBudget, wanted: int = MANY) -> int:
    """Take retries until the budget refuses one, and return their number."""
    return next(number for number in range(wanted + 1) if number == wanted or not budget.take())


@pytest.mark.parametrize("burst", [0, 1, 2.5, 10])
def test_a_new_budget_allows_the_burst_and_no_more(burst: float) -> None:
    assert taken(RetryBudget(0.1, burst)) == int(burst)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("burst", [0, 1, 10])
def test_the_retries_of_calls_that_all_fail_are_exactly_the_share_plus_the_burst(share: str, burst: int) -> None:
    budget = RetryBudget(float(Fraction(share)), burst)
    retries = taken(budget)
    for calls in range(1, 1001):
        budget.call_made()
        retries += taken(budget)
        assert retries == int(Fraction(share) * calls + burst), calls


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("seed", range(5))
def test_no_sequence_of_calls_and_retries_exceeds_the_share_plus_the_burst(share: str, seed: int) -> None:
    rng = random.Random(seed)
    burst = rng.randrange(6)
    budget = RetryBudget(float(Fraction(share)), burst)
    calls = retries = 0
    for _ in range(5000):
        if rng.random() < 0.6:
            budget.call_made()
            calls += 1
        else:
            retries += budget.take()
        assert retries <= Fraction(share) * calls + burst


def test_calls_without_retries_save_up_no_more_than_the_burst() -> None:
    budget = RetryBudget(0.5, 3)
    for _ in range(1000):
        budget.call_made()
    assert taken(budget) == 3


def test_without_a_burst_the_share_still_saves_up_one_retry() -> None:
    budget = RetryBudget(0.1, 0)
    for _ in range(1000):
        budget.call_made()
    assert taken(budget) == 1


def test_without_a_share_nothing_is_limited() -> None:
    assert taken(RetryBudget(None, 0), wanted=1000) == 1000


def test_several_threads_together_take_no_more_retries_than_one_thread() -> None:
    threads, calls, share, burst = 8, 2000, 0.25, 10
    budget = RetryBudget(share, burst)
    assert taken(budget) == burst
    together = threading.Barrier(threads)

    def work(_: int) -> int:
        together.wait()
        retries = 0
        for _ in range(calls):
            budget.call_made()
            retries += budget.take()
        return retries

    with ThreadPoolExecutor(threads) as pool:
        retries = sum(pool.map(work, range(threads)))
    # Every call wants a retry, so the budget is never full, and the budget holds less than one retry at the end.
    assert retries == share * threads * calls


Failing = Callable[[LLMCircuitBreaker, Callable[[], Any], int], None]


def blocking(breaker: LLMCircuitBreaker, fail: Callable[[], Any], attempts: int) -> None:
    with pytest.raises(ApiError):
        breaker.call_with_retry_sync(fail, max_retries=attempts)


def awaited(breaker: LLMCircuitBreaker, fail: Callable[[], Any], attempts: int) -> None:
    async def call() -> None:
        fail()

    with pytest.raises(ApiError):
        asyncio.run(breaker.call_with_retry(call, max_retries=attempts))


def streamed(breaker: LLMCircuitBreaker, fail: Callable[[], Any], attempts: int) -> None:
    with pytest.raises(ApiError), breaker.stream_sync(fail, max_retries=attempts):
        pytest.fail("the stream is open")


@pytest.mark.parametrize("call", [blocking, awaited, streamed])
@pytest.mark.parametrize("error", [ApiError(503), ApiError(429), busy(7)], ids=["503", "429", "429 with a wait"])
def test_a_breaker_makes_no_more_attempts_than_its_budget_allows(call: Failing, error: ApiError) -> None:
    bench = Bench(max_failures=10**6, retry_share=0.25, retry_burst=3.0)
    attempts = 0

    def fail() -> None:
        nonlocal attempts
        attempts += 1
        raise error

    for calls in range(1, 41):
        call(bench.breaker, fail, 5)
        # The budget saves up at most the burst, so the first call's share is lost: its budget was full.
        assert attempts - calls == int(0.25 * (calls - 1) + 3), calls


def test_blocking_and_awaited_calls_share_one_budget() -> None:
    bench = Bench(max_failures=10**6, retry_share=0.0, retry_burst=3.0)
    attempts = 0

    def fail() -> None:
        nonlocal attempts
        attempts += 1
        raise ApiError(503)

    for call in (blocking, awaited, blocking, awaited):
        call(bench.breaker, fail, 3)
    assert attempts == 4 + 3


def test_the_budget_limits_the_owner_of_a_probe() -> None:
    bench = Bench(retry_share=0.0, retry_burst=2.0)
    bench.due()
    attempts = 0

    def fail() -> None:
        nonlocal attempts
        attempts += 1
        raise busy(7)

    blocking(bench.breaker, fail, 10)
    assert attempts == 1 + 2


def test_successful_calls_add_to_the_budget() -> None:
    bench = Bench(max_failures=10**6, retry_share=0.5, retry_burst=1.0)
    attempts = 0

    def fail() -> None:
        nonlocal attempts
        attempts += 1
        raise ApiError(503)

    blocking(bench.breaker, fail, 5)
    blocking(bench.breaker, fail, 5)
    assert attempts == 3, "the burst is used up"
    bench.breaker.call_with_retry_sync(lambda: "answer")
    blocking(bench.breaker, fail, 5)
    assert attempts == 5


def test_massgen_s_rules_have_no_retry_budget() -> None:
    config = massgen.LLMCircuitBreakerConfig(enabled=True, max_failures=10**6)
    breaker = massgen.LLMCircuitBreaker(config, sleep_sync=lambda seconds: None)
    attempts = 0

    def fail() -> None:
        nonlocal attempts
        attempts += 1
        raise ApiError(503)

    for _ in range(20):
        blocking(breaker, fail, 5)
    assert attempts == 100


def test_the_default_budget_is_a_share_of_a_tenth_and_a_burst_of_ten() -> None:
    config = LLMCircuitBreakerConfig()
    assert (config.retry_share, config.retry_burst) == (0.1, 10.0)
