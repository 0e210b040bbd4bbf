"""Tests of call_with_retry."""

from __future__ import annotations

import asyncio
import logging
from email.utils import formatdate

import pytest

from cbstore_sql import CircuitBreakerOpenError, ConfigurationError
from tests.llm.tools import NAME, RESET, Api, ApiError, Bench, Clock, busy


def slept(bench: Bench, *backoffs: float) -> bool:
    """Return whether the pauses were these, each with a jitter of at most a fifth."""
    pairs = zip(bench.naps, backoffs, strict=True)
    return all(0.8 * backoff <= nap <= 1.2 * backoff for nap, backoff in pairs)


def test_an_answer_is_returned_and_clears_the_count(bench: Bench) -> None:
    bench.breaker.record_failure()
    assert bench.call(Api("answer")) == "answer"
    assert bench.breaker.failure_count == 0
    assert bench.metrics.requests == ["success"]


def test_the_call_waits_for_a_short_retry_after_which_does_not_count(bench: Bench) -> None:
    api = Api(busy(7), busy(1), "answer")
    assert bench.call(api) == "answer"
    assert bench.paused(7, 1)
    assert (api.calls, bench.breaker.failure_count, bench.told()[:1]) == (3, 0, ["CallFinished"])
    assert bench.metrics.requests == ["failure", "failure", "success"]


def test_the_call_does_not_wait_for_a_retry_after_of_the_last_attempt(bench: Bench) -> None:
    api = Api(*[busy(7)] * 9)
    with pytest.raises(ApiError):
        bench.call(api, max_retries=3)
    assert bench.paused(7, 7)
    assert (api.calls, bench.breaker.failure_count, bench.state) == (3, 0, "closed")


def test_a_long_retry_after_opens_the_circuit_for_that_time(bench: Bench) -> None:
    api = Api(busy(600))
    with pytest.raises(ApiError):
        bench.call(api)
    snapshot = bench.store.read(NAME)
    assert (api.calls, bench.naps, snapshot.retry_after, snapshot.failure_count) == (1, [], 600.0, 0)
    assert bench.metrics.transitions == [("closed", "open")]


@pytest.mark.parametrize(("longest", "opened"), [(86_400.0, 86_400.0), (600.0, 600.0), (1e9, 1e9)])
def test_max_retry_after_seconds_limits_the_open_time(longest: float, opened: float) -> None:
    bench = Bench(max_retry_after_seconds=longest)
    with pytest.raises(ApiError):
        bench.call(Api(busy(10**14)))
    assert bench.store.read(NAME).retry_after == opened


def test_the_call_waits_for_a_retry_after_that_is_a_date(bench: Bench) -> None:
    clock = Clock()
    sent = formatdate(clock.now, usegmt=True)
    api = Api(ApiError(429, {"Retry-After": formatdate(clock.now + 9, usegmt=True), "Date": sent}), "answer")
    assert bench.call(api) == "answer"
    assert bench.paused(9)


def test_a_429_without_retry_after_counts_and_is_retried(bench: Bench) -> None:
    assert bench.call(Api(ApiError(429), ApiError(429), "answer")) == "answer"
    assert slept(bench, 1, 2)
    with pytest.raises(ApiError):
        bench.call(Api(*[ApiError(429)] * 9), max_retries=2)
    assert bench.breaker.failure_count == 2


def test_a_429_that_opens_the_circuit_ends_in_a_refusal(bench: Bench) -> None:
    api = Api(*[ApiError(429)] * 9)
    with pytest.raises(CircuitBreakerOpenError):
        bench.call(api, max_retries=9)
    assert api.calls == 3
    assert bench.metrics.requests == ["failure"] * 3 + ["rejected_open"]


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_a_server_error_counts_and_is_retried(bench: Bench, status: int) -> None:
    assert bench.call(Api(ApiError(status), "answer")) == "answer"
    assert slept(bench, 1)
    with pytest.raises(ApiError):
        bench.call(Api(ApiError(status), ApiError(status)), max_retries=2)
    assert bench.breaker.failure_count == 2


def test_pauses_grow_up_to_max_backoff_seconds() -> None:
    bench = Bench(max_failures=9, backoff_multiplier=3.0, max_backoff_seconds=5.0)
    with pytest.raises(ApiError):
        bench.call(Api(*[ApiError(500)] * 9), max_retries=5)
    assert slept(bench, 1, 3, 5, 5)


def test_a_server_error_that_opens_the_circuit_is_raised_and_not_retried(bench: Bench) -> None:
    api = Api(*[ApiError(500)] * 9)
    with pytest.raises(ApiError):
        bench.call(api, max_retries=9)
    assert (api.calls, len(bench.naps), bench.state) == (3, 2, "open")


def test_a_server_error_is_retried_if_the_next_attempt_can_be_the_probe(bench: Bench) -> None:
    async def fail_late() -> None:
        bench.due()
        raise ApiError(500)

    assert bench.call(Api(fail_late, "answer")) == "answer"
    assert (bench.state, len(bench.naps)) == ("closed", 1)


def test_retryable_status_codes_selects_the_statuses_that_count() -> None:
    bench = Bench(retryable_status_codes=[418])
    with pytest.raises(ApiError):
        bench.call(Api(ApiError(418), ApiError(500)))
    assert (bench.breaker.failure_count, len(bench.naps)) == (1, 1)


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionError(), ConnectionRefusedError()])
def test_a_timeout_or_a_connection_error_counts_and_is_retried(bench: Bench, error: Exception) -> None:
    assert bench.call(Api(error, "answer")) == "answer"
    assert slept(bench, 1)
    with pytest.raises(type(error)) as raised:
        bench.call(Api(error, error), max_retries=2)
    assert (raised.value, bench.breaker.failure_count) == (error, 2)


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionError()])
def test_with_count_connection_errors_false_a_connection_error_does_not_count(error: Exception) -> None:
    bench = Bench(count_connection_errors=False)
    api = Api(error)
    with pytest.raises(type(error)):
        bench.call(api)
    assert (api.calls, bench.naps, bench.breaker.failure_count) == (1, [], 0)


@pytest.mark.parametrize(("error", "calls"), [(TimeoutError(), 1), (ConnectionRefusedError(), 2)])
def test_with_retry_unanswered_false_a_call_that_may_have_been_billed_is_not_retried(
    error: Exception, calls: int
) -> None:
    bench = Bench(retry_unanswered=False)
    api = Api(error, error)
    with pytest.raises(type(error)):
        bench.call(api, max_retries=2)
    assert (api.calls, bench.breaker.failure_count) == (calls, calls)


@pytest.mark.parametrize("error", [ApiError(400), ApiError(404), ValueError(), FileNotFoundError()])
def test_any_other_error_is_raised_unchanged_and_does_not_count(bench: Bench, error: Exception) -> None:
    api = Api(error)
    with pytest.raises(type(error)) as raised:
        bench.call(api)
    assert raised.value is error
    assert (api.calls, bench.naps, bench.breaker.failure_count, bench.metrics.requests) == (1, [], 0, ["failure"])


def test_an_open_circuit_refuses_with_the_time_left(bench: Bench) -> None:
    bench.open()
    bench.clock.advance(RESET - 20)
    api = Api()
    with pytest.raises(CircuitBreakerOpenError) as refused:
        bench.call(api)
    assert (refused.value.name, refused.value.state, refused.value.retry_after) == (NAME, "open", 20.0)
    assert (api.calls, bench.metrics.requests) == (0, ["rejected_open"])


def test_a_call_is_refused_during_the_probe_of_another_call(bench: Bench) -> None:
    bench.due()
    assert bench.store.claim_probe(NAME) is not None
    with pytest.raises(CircuitBreakerOpenError) as refused:
        bench.call(Api())
    assert refused.value.state == "half_open"
    assert bench.metrics.requests == ["rejected_half_open"]


def test_a_refusal_by_another_breaker_does_not_count(bench: Bench) -> None:
    other = Bench()
    other.open()
    with pytest.raises(CircuitBreakerOpenError):
        bench.call(lambda: other.breaker.call_with_retry(Api()))
    assert (bench.metrics.requests, bench.breaker.failure_count) == (["failure"], 0)


def test_a_circuit_that_opens_during_a_pause_refuses_the_next_attempt(bench: Bench) -> None:
    api = Api(busy(7))
    bench.on_nap = bench.open
    with pytest.raises(CircuitBreakerOpenError):
        bench.call(api)
    assert api.calls == 1


def test_the_next_attempt_is_the_probe_if_the_open_time_ends_during_a_pause(bench: Bench) -> None:
    bench.on_nap = bench.due
    assert bench.call(Api(busy(7), "answer")) == "answer"
    assert bench.state == "closed"
    assert bench.metrics.transitions == [("open", "half_open"), ("half_open", "closed")]


@pytest.mark.parametrize("attempts", [0, -1, 1.5, True])
def test_max_retries_below_1_is_refused_without_a_claim(bench: Bench, attempts: int) -> None:
    bench.due()
    with pytest.raises(ConfigurationError, match="max_retries"):
        bench.call(Api(), max_retries=attempts)
    assert bench.metrics.transitions == []


def test_an_error_while_the_awaitable_is_made_counts_as_a_failure(bench: Bench) -> None:
    def broken() -> None:
        raise ApiError(503)

    with pytest.raises(ApiError):
        bench.call(broken, max_retries=1)
    assert bench.breaker.failure_count == 1


def test_retries_are_logged_with_the_agent_and_without_the_server_s_text(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cbstore_sql")
    with pytest.raises(ApiError):
        bench.call(Api(ApiError(429), busy(600)), agent_id="agent-1")
    records = [record for record in caplog.records if "cb_agent_id" in vars(record)]
    assert [vars(record)["cb_agent_id"] for record in records] == ["agent-1"] * 2
    assert [record.message for record in records] == [
        f"circuit breaker 'claude': trying again in {bench.naps[0]:.1f} s",
        "circuit breaker 'claude': opened because the API asked for it, may be probed in 600.0 s",
    ]


def test_an_exception_of_the_metrics_does_not_affect_the_call(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*measurement: object) -> None:
        raise RuntimeError("no space")

    for method in ("record_request", "record_state_transition"):
        monkeypatch.setattr(bench.metrics, method, broken)
    bench.due()
    assert bench.call(Api("answer")) == "answer"
    assert bench.state == "closed"


def test_without_a_given_sleep_the_call_sleeps_in_the_event_loop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        bench.clock.advance(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    bench.breaker._sleep = None
    assert bench.call(Api(busy(7), "answer")) == "answer"
    assert [7.0 <= seconds <= 8.4 for seconds in slept] == [True]
