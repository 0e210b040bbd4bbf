"""Tests of call_with_retry_sync, which follows the same rules as call_with_retry."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

import pytest

from cbstore_sql import AsyncInMemoryStore, CircuitBreakerOpenError, ConfigurationError
from tests.llm.tools import NAME, RESET, ApiError, Bench, busy


class SyncApi:
    """An API with a list of answers: an exception is raised, anything else is returned. After the list, ``"ok"``."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        answer = self._answers.pop(0) if self._answers else "ok"
        if isinstance(answer, BaseException):
            raise answer
        return answer


def test_an_answer_is_returned_and_clears_the_count(bench: Bench) -> None:
    bench.breaker.record_failure()
    assert bench.breaker.call_with_retry_sync(SyncApi("answer")) == "answer"
    assert (bench.breaker.failure_count, bench.metrics.requests) == (0, ["success"])


def test_the_call_waits_for_a_short_retry_after(bench: Bench) -> None:
    assert bench.breaker.call_with_retry_sync(SyncApi(busy(7), "answer")) == "answer"
    assert bench.paused(7)


def test_a_long_wait_opens_the_circuit(bench: Bench) -> None:
    with pytest.raises(ApiError):
        bench.breaker.call_with_retry_sync(SyncApi(busy(600)))
    with pytest.raises(CircuitBreakerOpenError) as refused:
        bench.breaker.call_with_retry_sync(SyncApi())
    assert refused.value.retry_after == 600.0


@pytest.mark.parametrize("error", [ApiError(500), ApiError(429), TimeoutError()])
def test_failures_count_and_are_retried(bench: Bench, error: Exception) -> None:
    api = SyncApi(*[error] * 9)
    with pytest.raises(type(error)):
        bench.breaker.call_with_retry_sync(api, max_retries=2)
    assert (api.calls, bench.breaker.failure_count, len(bench.naps)) == (2, 2, 1)


def test_a_probe_is_kept_while_its_owner_waits_for_a_retry_after(bench: Bench) -> None:
    rejected: list[bool] = []
    # In a new context, as in another process: in the context of the probe, the call would be part of the probe.
    bench.on_nap = lambda: rejected.append(Context().run(bench.another().should_block))
    bench.due()
    assert bench.breaker.call_with_retry_sync(SyncApi(busy(7), "answer")) == "answer"
    assert (rejected, bench.state) == ([True], "closed")


def test_the_owner_of_a_probe_lost_during_a_wait_makes_no_further_call(bench: Bench) -> None:
    api = SyncApi(busy(7))
    bench.on_nap = bench.open
    bench.due()
    with pytest.raises(CircuitBreakerOpenError):
        bench.breaker.call_with_retry_sync(api)
    assert api.calls == 1


def test_an_error_in_the_body_of_a_200_counts_and_is_returned_when_no_attempt_is_left(bench: Bench) -> None:
    broken = {"error": {"code": 502, "message": "upstream"}}
    assert bench.breaker.call_with_retry_sync(SyncApi(broken, broken), max_retries=2) == broken
    assert bench.breaker.failure_count == 2


def test_a_disabled_breaker_makes_the_call_without_recording_it() -> None:
    bench = Bench(enabled=False)
    assert bench.breaker.call_with_retry_sync(SyncApi("answer")) == "answer"
    assert bench.metrics.requests == []


def test_a_blocking_call_over_an_async_store_raises_an_error_that_names_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match="_async"):
        Bench(AsyncInMemoryStore()).breaker.call_with_retry_sync(SyncApi())


Check = Callable[[], Any]


def healthy() -> None:
    return None


def unhealthy() -> bool:
    return False


def down() -> None:
    raise ConnectionRefusedError


def test_a_health_check_probes_in_place_of_a_paid_call(bench: Bench) -> None:
    bench.due()
    bench.breaker._probe = healthy
    api = SyncApi("answer")
    assert bench.breaker.call_with_retry_sync(api) == "answer"
    assert (api.calls, bench.state, bench.told().count("CallFinished")) == (1, "closed", 2)


@pytest.mark.parametrize("probe", [unhealthy, down])
def test_a_failed_health_check_opens_the_circuit_again_and_makes_no_call(bench: Bench, probe: Check) -> None:
    bench.due()
    bench.breaker._probe = probe
    api = SyncApi()
    with pytest.raises(CircuitBreakerOpenError) as refused:
        bench.breaker.call_with_retry_sync(api)
    assert (api.calls, refused.value.retry_after, bench.store.read(NAME).retry_after) == (0, RESET, RESET)


@pytest.mark.parametrize("probe", [healthy, unhealthy])
def test_an_awaited_call_accepts_a_synchronous_or_asynchronous_health_check(bench: Bench, probe: Check) -> None:
    async def asynchronous() -> Any:
        return probe()

    for check in (probe, asynchronous):
        bench.breaker.reset()
        bench.due()
        bench.breaker._probe = check
        if probe is healthy:
            assert bench.call(_answer) == "answer"
        else:
            with pytest.raises(CircuitBreakerOpenError):
                bench.call(_answer)


async def _answer() -> str:
    return "answer"


def test_a_probe_that_cannot_be_called_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match="probe"):
        type(Bench().breaker)(probe="ping")  # type: ignore[arg-type] # the mistake
